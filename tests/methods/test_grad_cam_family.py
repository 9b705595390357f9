"""The pytorch-grad-cam family against the papers' formulas, written out slowly in float64."""

from __future__ import annotations

import importlib.metadata

import numpy as np
import pytest
import torch
from torch import Tensor

import methods  # noqa: F401
from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from bench.core.explainer import EXPLAINERS
from bench.scoring.normalise import normalise
from bench.scoring.sources import ExplainerSource
from tests.toys import photo, toy_classifier

KINDS = ("gap_linear", "deep_head", "signed_features", "tokens", "residual_bypass")
TARGETS = torch.tensor([0, 4, 6])


def draw(name: str, classifier: Classifier, images: Tensor, **params: object) -> Tensor:
    return EXPLAINERS[name].value.function(classifier, images, TARGETS, **params)


def min_max(maps: Tensor) -> Tensor:
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low)


def maps_and_gradients(classifier: Classifier, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """A and ∂f_c/∂A, by plain autograd through the head."""
    A, rest = classifier.trunk(images)
    A = A.detach().requires_grad_()
    logits = classifier.head(A, rest)
    score = sum(logits[i, c] for i, c in enumerate(TARGETS))
    (gradients,) = torch.autograd.grad(score, A)
    return A.detach().numpy(), gradients.numpy()


def weights_grad_cam(A: np.ndarray, g: np.ndarray) -> float:
    return sum(g.flat) / g.size


def weights_grad_cam_plus_plus(A: np.ndarray, g: np.ndarray) -> float:
    """The library's 1e-6 in the denominator; where g is 0, a is 0."""
    total, weight = A.sum(), 0.0
    for value in g.flat:
        if value:
            weight += value**2 / (2 * value**2 + total * value**3 + 1e-6) * max(value, 0)
    return weight


def weights_xgrad_cam(A: np.ndarray, g: np.ndarray) -> float:
    """The library's 1e-7 in the denominator."""
    return sum(gradient * a / (A.sum() + 1e-7) for gradient, a in zip(g.flat, A.flat, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "weight"),
    [("grad-cam", weights_grad_cam), ("grad-cam++", weights_grad_cam_plus_plus), ("xgrad-cam", weights_xgrad_cam)],
)
def test_weighted_sum_of_maps(name: str, weight: object, kind: str) -> None:
    classifier, images = toy_classifier(kind, dtype=torch.float64), photo(3).double()
    A, g = maps_and_gradients(classifier, images)
    slow = [sum(weight(a, b) * a for a, b in zip(A[i], g[i], strict=True)) for i in range(3)]  # type: ignore[operator]
    torch.testing.assert_close(draw(name, classifier, images), torch.from_numpy(np.stack(slow)))


@pytest.mark.parametrize("kind", KINDS)
def test_position_by_position(kind: str) -> None:
    classifier, images = toy_classifier(kind, dtype=torch.float64), photo(3).double()
    A, g = maps_and_gradients(classifier, images)
    hires, layer = np.zeros_like(A[:, 0]), np.zeros_like(A[:, 0])
    for i, k, y, x in np.ndindex(A.shape):
        hires[i, y, x] += g[i, k, y, x] * A[i, k, y, x]
        layer[i, y, x] += max(g[i, k, y, x], 0) * A[i, k, y, x]
    torch.testing.assert_close(draw("hires-cam", classifier, images), torch.from_numpy(hires))
    torch.testing.assert_close(draw("layer-cam", classifier, images), torch.from_numpy(layer))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("centred", [True, False])
def test_eigen_cam_is_the_first_principal_projection_with_a_fixed_sign(kind: str, centred: bool) -> None:
    classifier, images = toy_classifier(kind, dtype=torch.float64), photo(3).double()
    maps = draw("eigen-cam", classifier, images, centred=centred)
    for A, S in zip(classifier.features(images).numpy(), maps.numpy(), strict=True):
        rows = A.reshape(len(A), -1).T
        rows = rows - rows.mean(0) if centred else rows
        values, vectors = np.linalg.eigh(rows.T @ rows)
        projected = rows @ vectors[:, -1]
        np.testing.assert_allclose(np.abs(S.ravel()), np.abs(projected), atol=1e-5 * np.abs(projected).max())
        mean = A.mean(0)
        if mean.std() > 1e-9:
            assert np.corrcoef(S.ravel(), mean.ravel())[0, 1] > 0
        else:  # the toy with tokens: a fresh LayerNorm makes the mean map constant
            assert S.max() > -S.min()


def test_one_map_on_a_net_of_pooling_and_one_linear_layer() -> None:
    """w_k = W_ck / hw for Grad-CAM, XGrad-CAM and HiRes-CAM alike, so that all are CAM / hw."""
    classifier, images = toy_classifier("gap_linear"), photo(3)
    maps = {name: draw(name, classifier, images) for name in ("cam", "grad-cam", "xgrad-cam", "hires-cam")}
    expected = min_max(maps["cam"].relu())
    assert expected.std() > 0.1
    for S in maps.values():
        torch.testing.assert_close(min_max(S.relu()), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(maps["grad-cam"] * maps["cam"][0].numel(), maps["cam"])
    assert not torch.allclose(min_max(draw("layer-cam", classifier, images).relu()), expected, atol=1e-2)


def test_hires_cam_is_complete_on_a_net_of_pooling_and_one_linear_layer() -> None:
    classifier, images = toy_classifier("gap_linear", dtype=torch.float64), photo(3).double()
    assert classifier.linear is not None
    bias = classifier.linear[1][TARGETS]
    logits = classifier.logits(images)[range(3), TARGETS]
    torch.testing.assert_close(draw("hires-cam", classifier, images).sum((1, 2)) + bias, logits, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("order", ["positive", "two-step"])
@pytest.mark.parametrize("gamma", [0.3, 0.5, 2.0, 3.7])
@pytest.mark.parametrize("kind", ["deep_head", "tokens"])
def test_gamma_is_the_power_of_the_normalised_map_and_keeps_the_order_of_pixels(kind, gamma, order) -> None:
    classifier, images = toy_classifier(kind, dtype=torch.float64), photo(3).double()
    plain, _ = normalise(draw("grad-cam", classifier, images), 32, order)
    powered, _ = normalise(draw("grad-cam", classifier, images, gamma=gamma), 32, order)
    np.testing.assert_allclose(powered, np.power(plain.numpy(), gamma), atol=1e-6)
    assert (powered - plain).abs().max() > 0.05
    for before, after in zip(plain.flatten(1), powered.flatten(1), strict=True):
        ascending = before.argsort()
        step, powered_step = before[ascending].diff(), after[ascending].diff()
        assert (step > 1e-9).sum() > 100
        assert (powered_step[step > 1e-9] > 0).all()
        assert (after[before == 0] == 0).all()


def test_gamma_1_is_grad_cam_with_the_key_of_rows_stored_before_there_was_a_gamma() -> None:
    classifier, images = toy_classifier("deep_head"), photo(3)
    assert torch.equal(draw("grad-cam", classifier, images, gamma=1.0), draw("grad-cam", classifier, images))
    version = importlib.metadata.version("grad-cam")
    for text in ("grad-cam", "grad-cam(gamma=1)"):
        source = ExplainerSource(EXPLAINERS.spec(text))
        assert source.key("") == f"grad-cam v1 grad-cam {version}"
        assert source.label == "grad-cam"
    assert ExplainerSource(EXPLAINERS.spec("grad-cam(gamma=0.5)")).key("") == (
        f"grad-cam(gamma=0.5) v1 grad-cam {version}"
    )


@pytest.mark.parametrize("gamma", [0.0, -1.0, float("inf"), float("nan")])
def test_gamma_must_lie_in_its_range(gamma: float) -> None:
    with pytest.raises(UsageError, match="gamma must be above 0, at most 100"):
        draw("grad-cam", toy_classifier("deep_head"), photo(3), gamma=gamma)
