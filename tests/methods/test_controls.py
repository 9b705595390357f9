"""The controls by their definitions."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

import methods  # noqa: F401
from bench.core.explainer import EXPLAINERS, Passes
from tests.toys import photo

TARGETS = torch.zeros(3, dtype=torch.int64)
SEEDS = torch.tensor([1, 2, 3])


def draw(name: str, images: Tensor, **extra: Tensor) -> Tensor:
    return EXPLAINERS[name].value.function(None, images, TARGETS, **extra)


def test_all_are_marked_and_ask_nothing_of_the_classifier() -> None:
    controls = {entry.name for entry in EXPLAINERS if entry.value.control and "methods/controls.py" in entry.origin}
    assert controls == {"fake-cam", "random", "random-7x7", "center", "sobel"}
    for name in controls:
        assert EXPLAINERS[name].value.cost(None) == Passes(0)


def test_fake_cam_is_one_but_for_a_corner() -> None:
    maps = draw("fake-cam", photo(3))
    assert maps.shape == (3, 32, 32)
    assert (maps[:, 0, 0] == 0).all()
    assert maps.sum() == 3 * (32 * 32 - 1)
    assert EXPLAINERS["fake-cam"].value.order == "as-is"


def test_random_maps_depend_on_the_seed_alone() -> None:
    for name, shape in (("random", (3, 32, 32)), ("random-7x7", (3, 7, 7))):
        maps = draw(name, photo(3), seeds=SEEDS)
        assert maps.shape == shape
        assert torch.equal(maps, draw(name, photo(3, seed=9), seeds=SEEDS))
        assert torch.equal(maps.flip(0), draw(name, photo(3), seeds=SEEDS.flip(0)))
        assert not torch.equal(maps[0], maps[1])
        assert 0 <= maps.min() < maps.max() < 1
    pixels = draw("random", photo(3, size=100), seeds=SEEDS)
    assert abs(pixels.mean() - 0.5) < 0.01
    assert abs(pixels.var() - 1 / 12) < 0.003


def test_center_is_a_gaussian_of_a_quarter_of_each_side() -> None:
    maps = draw("center", photo(3, size=33))
    assert maps[0, 16, 16] == 1
    for y, x in ((0, 0), (16, 3), (30, 20)):
        expected = math.exp(-0.5 * ((y - 16) ** 2 + (x - 16) ** 2) / (33 / 4) ** 2)
        torch.testing.assert_close(maps[:, y, x], torch.full((3,), expected))
    torch.testing.assert_close(maps, maps.flip(1).mT)


def test_sobel_is_the_edge_magnitude_of_the_grey_image() -> None:
    images = photo(3)
    grey = np.tensordot(images.numpy(), (0.299, 0.587, 0.114), (1, 0))
    slow = [np.hypot(*(ndimage.sobel(one, axis, mode="nearest") for axis in (0, 1))) for one in grey]
    np.testing.assert_allclose(draw("sobel", images).numpy(), slow, rtol=1e-4, atol=1e-5)
    assert (draw("sobel", torch.full((3, 3, 8, 8), 0.7)).abs() < 1e-5).all()
