"""Smooth Grad-CAM++, Integrated Grad-CAM and Sharpen Focus against float64 restatements and identities."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import EXPLAINERS
from methods.integrated_grad_cam import integrated_grad_cam
from methods.sharpen_focus import sharpen_focus
from methods.smooth_grad_cam import smooth_grad_cam_plus_plus
from tests.toys import photo, toy_classifier

TARGETS = torch.tensor([0, 4, 6])
SEEDS = torch.tensor([1, 2, 3])
KINDS = ("gap_linear", "deep_head", "signed_features")


def toy(kind: str) -> tuple[Classifier, Tensor]:
    return toy_classifier(kind, dtype=torch.float64), photo(3).double()


def gradient(classifier: Classifier, x: Tensor, c: int) -> tuple[Tensor, Tensor]:
    """A (K, h, w) and ∂f_c/∂A of one image, straight from the head."""
    A, rest = classifier.trunk(x[None])
    A = A.detach().requires_grad_()
    return A.detach()[0], torch.autograd.grad(classifier.head(A, rest)[0, c], A)[0][0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", ["paper", "torch-cam", "average"])
def test_smooth_grad_cam_is_the_formula(kind: str, variant: Any) -> None:
    classifier, images = toy(kind)
    drawn = smooth_grad_cam_plus_plus(classifier, images, TARGETS, samples=3, sigma=0.2, variant=variant, seeds=SEEDS)
    for i, (x, c) in enumerate(zip(images, TARGETS.tolist(), strict=True)):
        generator = torch.Generator().manual_seed(int(SEEDS[i]))
        noisy = [
            x + 0.2 * classifier.std.double()[:, None, None] * torch.randn(x.shape, generator=generator).double()
            for _ in range(3)
        ]
        pairs = [gradient(classifier, one, c) for one in noisy]
        A = gradient(classifier, x, c)[0]
        expected = torch.zeros_like(A[0])
        for k in range(len(A)):
            D = [sum(g[k] ** n for _, g in pairs) / 3 for n in (1, 2, 3)]
            if variant == "average":
                for mine, g in pairs:
                    a = g[k] ** 2 / (2 * g[k] ** 2 + mine[k].sum() * g[k] ** 3)
                    expected += (a.nan_to_num(0) * g[k].relu()).sum() * mine[k] / 3
            else:
                a = D[1] / (2 * D[1] + A[k].sum() * D[2])
                last = pairs[-1][1][k] if variant == "torch-cam" else D[0]
                expected += (a.nan_to_num(0) * last.relu()).sum() * A[k]
        torch.testing.assert_close(drawn[i], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("variant", ["paper", "torch-cam", "average"])
def test_without_noise_it_is_grad_cam_plus_plus(variant: Any) -> None:
    classifier, images = toy_classifier("deep_head"), photo(3)
    quiet = smooth_grad_cam_plus_plus(classifier, images, TARGETS, samples=2, sigma=0.0, variant=variant, seeds=SEEDS)
    library = EXPLAINERS["grad-cam++"].value.function(classifier, images, TARGETS)
    for ours, theirs in zip(quiet, library, strict=True):  # the library adds 1e-6 to a's denominator
        assert torch.corrcoef(torch.stack([ours.flatten(), theirs.flatten()]))[0, 1] > 0.98


@pytest.mark.parametrize("kind", KINDS)
def test_integrated_grad_cam_is_the_authors_loop(kind: str) -> None:
    classifier, images = toy(kind)
    drawn = integrated_grad_cam(classifier, images, TARGETS, steps=5)
    for S, x, c in zip(drawn, images, TARGETS.tolist(), strict=True):
        total = torch.zeros_like(S)
        for step in range(5):
            A, g = gradient(classifier, x * step / 5, c)
            total += torch.einsum("k,kij->ij", g.mean((1, 2)), A).relu()
        torch.testing.assert_close(S, total)


def test_behind_a_linear_head_the_papers_form_is_grad_cam_of_the_change() -> None:
    """The gradient is the same all along the path, so that its integral is itself."""
    classifier, images = toy("gap_linear")
    drawn = integrated_grad_cam(classifier, images, TARGETS, steps=3, variant="paper")
    assert classifier.linear is not None
    weights = classifier.linear[0][TARGETS] / drawn[0].numel()
    change = classifier.features(images) - classifier.features(torch.zeros_like(images))
    torch.testing.assert_close(drawn, torch.einsum("bk,bkij->bij", weights, change))


@pytest.mark.parametrize("kind", KINDS)
def test_sharpen_focus_weighs_by_the_mean_positive_gradient(kind: str) -> None:
    classifier, images = toy(kind)
    for S, x, c in zip(sharpen_focus(classifier, images, TARGETS), images, TARGETS.tolist(), strict=True):
        A, g = gradient(classifier, x, c)
        torch.testing.assert_close(S, sum(g[k].clamp(min=0).mean() * A[k] for k in range(len(A))))
