"""Augmented Grad-CAM: it undoes the moves, and finds detail that one map of the layer does not have."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.explainer import EXPLAINERS
from methods.augmented_grad_cam import augmented_grad_cam, inverse, moved, moves, super_resolution
from tests.toys import SIZE, photo, toy_classifier

TARGETS = torch.tensor([0, 4])
SEEDS = torch.tensor([5, 6])


def blobs(size: int = 56) -> Tensor:
    """A ring and a bar, finer than a cell of 8 pixels."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    ring = ((((y - 20.0) ** 2 + (x - 22.0) ** 2).sqrt() - 9).abs() < 2.5).float()
    bar = ((x - 40).abs() < 3).float() * ((y - 34).abs() < 14)
    return (ring + bar).clamp(max=1)


def test_a_high_resolution_map_is_recovered_from_its_moved_coarse_copies() -> None:
    truth = blobs()
    matrices = moves(60, torch.Generator().manual_seed(0))
    coarse = F.interpolate(moved(truth.expand(60, 1, -1, -1), matrices), 7, mode="bilinear", antialias=True)[:, 0]
    found = super_resolution(coarse, matrices, (56, 56), tv=0.0002, energy=0.0001, steps=300, lr=0.02)
    bilinear = F.interpolate(coarse[:1, None], 56, mode="bilinear")[0, 0]
    errors = [((one - truth) ** 2).mean().item() for one in (found, bilinear)]
    assert errors[0] < 0.6 * errors[1]
    likeness = [torch.corrcoef(torch.stack([one.flatten(), truth.flatten()]))[0, 1] for one in (found, bilinear)]
    assert likeness[0] > likeness[1] + 0.15


def test_the_objective_is_the_papers() -> None:
    """One step of Adam from 0 goes against the sign of the gradient, written out for one copy that was not moved."""
    g = torch.rand(1, 4, 4, generator=torch.Generator().manual_seed(1))
    stay = moves(1, torch.Generator().manual_seed(0))
    assert torch.equal(stay, torch.tensor([[[1.0, 0, 0], [0, 1, 0]]]))
    S = super_resolution(g, stay, (16, 16), tv=0.0, energy=0.0, steps=1, lr=0.1)
    torch.testing.assert_close(S, torch.full_like(S, 0.1))  # every pixel is in a positive cell
    still = super_resolution(g, stay, (16, 16), tv=0.0, energy=1e6, steps=50, lr=0.01)
    assert still.abs().max() < 0.02
    smooth, rough = (super_resolution(g, stay, (16, 16), tv=tv, energy=0.0, steps=200, lr=0.02) for tv in (0.5, 0.0))
    assert smooth.std() < 0.5 * rough.std()


def test_moves_back_undo_the_moves() -> None:
    matrices = moves(8, torch.Generator().manual_seed(3))
    image = F.pad(blobs(48), (24,) * 4)[None, None].expand(8, 1, -1, -1)
    there = moved(moved(image, matrices), inverse(matrices))
    assert (there - image).abs().mean() < 0.02
    assert (moved(image, matrices)[1:] - image[1:]).abs().mean() > 0.03


@pytest.mark.parametrize("aggregate", ["super-resolution", "mean", "max"])
def test_one_copy_is_the_cam_itself(aggregate: Any) -> None:
    classifier, images = toy_classifier("deep_head"), photo(2)
    drawn = augmented_grad_cam(classifier, images, TARGETS, copies=1, aggregate=aggregate, tv=0, seeds=SEEDS, steps=300)
    cam = EXPLAINERS["grad-cam"].value.function(classifier, images, TARGETS).relu()
    for S, A in zip(drawn, cam / cam.amax((1, 2), keepdim=True), strict=True):
        if aggregate == "super-resolution":
            low = F.interpolate(S[None, None], 8, mode="bilinear", antialias=True)[0, 0]
            assert (low - A).abs().mean() < 0.06
        else:
            torch.testing.assert_close(
                S, F.interpolate(A[None, None], SIZE, mode="bilinear")[0, 0], atol=1e-5, rtol=1e-4
            )


def test_maps_depend_on_the_seed_of_an_image_alone() -> None:
    classifier, images = toy_classifier("deep_head"), photo(2)
    both = augmented_grad_cam(classifier, images, TARGETS, copies=3, steps=5, seeds=SEEDS)
    alone = augmented_grad_cam(classifier, images[1:], TARGETS[1:], copies=3, steps=5, seeds=SEEDS[1:])
    torch.testing.assert_close(both[1:], alone, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("cam", ["random", "smoothgrad", "augmented-grad-cam", "grad-camm"])
def test_what_cannot_be_augmented_is_refused(cam: str) -> None:
    with pytest.raises(UsageError, match="cannot be augmented|did you mean 'grad-cam'"):
        augmented_grad_cam(toy_classifier(), photo(2), TARGETS, cam=cam, seeds=SEEDS)
