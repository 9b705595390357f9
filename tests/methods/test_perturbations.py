"""RISE, Meaningful and Extremal Perturbation on inputs whose answer is known."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from methods.extremal_perturbation import SmoothMask, areas_of, extremal_perturbation, perturbed, pyramid
from methods.meaningful_perturbation import meaningful_perturbation
from methods.rise import masks_of, rise

PATCH = (slice(8, 20), slice(12, 24))
SIZE = 32


class Patch(nn.Module):
    """Class 1 is the brighter the patch; no other pixel plays a part."""

    def __init__(self, size: int = SIZE, patch: tuple[slice, slice] = PATCH):
        super().__init__()
        window = torch.zeros(size, size)
        window[patch] = 1 / window[patch].numel()
        self.register_buffer("window", window)
        self.features = nn.Conv2d(3, 4, 1)
        self.fc = nn.Linear(4, 2)
        with torch.no_grad():
            self.features.weight.fill_(1 / 3)
            self.features.bias.zero_()  # type: ignore[union-attr]
            self.fc.weight.copy_(torch.tensor([[0.0] * 4, [2.0] * 4]))
            self.fc.bias.copy_(torch.tensor([3.0, 0.0]))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.fc((self.features(x) * self.window).sum((2, 3)))
        return found


def patch_classifier(**options: Any) -> Classifier:
    return Classifier(Patch(**options), name="patch", layer="features", input_size=options.get("size", SIZE))


def bright(n: int = 1, size: int = SIZE) -> Tensor:
    return 0.75 + 0.25 * torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def share_inside(saliency: Tensor, patch: tuple[slice, slice] = PATCH) -> float:
    """Intersection over union of the patch with as many of the map's largest pixels."""
    inside = torch.zeros_like(saliency, dtype=torch.bool)
    inside[patch] = True
    top = torch.zeros_like(inside).flatten()
    top[saliency.flatten().topk(int(inside.sum())).indices] = True
    top = top.view_as(inside)
    return ((top & inside).sum() / (top | inside).sum()).item()


def test_rise_converges_to_the_expectation_over_all_masks() -> None:
    """2 × 2 cells of 2 × 2 pixels: 16 patterns and 4 shifts, every one alike likely."""
    classifier, image = patch_classifier(size=4, patch=(slice(0, 2), slice(1, 3))), bright(1, 4)
    expected = torch.zeros(4, 4)
    for pattern in itertools.product([0.0, 1.0], repeat=4):
        for shift in itertools.product(range(2), repeat=2):
            mask = masks_of(torch.tensor(pattern).view(1, 2, 2), torch.tensor([shift]), (4, 4))[0]
            p = classifier.logits(image * mask).softmax(1)[0, 1]
            expected += p * mask / 0.5 / 64
    drawn, error = (
        rise(classifier, image, torch.tensor([1]), samples=20_000, grid=2, background="black", statistic=kind)[0]
        for kind in ("mean", "standard-error")
    )
    assert (error > 0).all()
    assert ((drawn - expected).abs() < 4 * error).all()
    assert error.max() < 0.01


def test_rises_standard_error_is_that_of_independent_repetitions() -> None:
    classifier, image, target = patch_classifier(), bright(), torch.tensor([1])
    repeated = torch.stack([rise(classifier, image, target, samples=100, mask_seed=i)[0] for i in range(60)])
    stated = torch.stack([
        rise(classifier, image, target, samples=100, mask_seed=i, statistic="standard-error")[0] for i in range(5)
    ])  # fmt: skip
    assert (stated.mean() / repeated.std(0).mean()).item() == pytest.approx(1, abs=0.15)


def test_rise_does_not_depend_on_the_chunk_and_finds_the_patch() -> None:
    classifier, image, target = patch_classifier(), bright(), torch.tensor([1])
    drawn = rise(classifier, image, target, samples=1500, background="black")
    torch.testing.assert_close(rise(classifier, image, target, samples=1500, background="black", chunk=7), drawn)
    assert share_inside(drawn[0]) > 0.5


def test_masks_are_the_references_enlarged_cells_cut_at_the_shift() -> None:
    """The reference enlarges with scikit-image, by half-pixel centres, as here."""
    from skimage.transform import resize

    cells = (torch.rand(5, 7, 7, generator=torch.Generator().manual_seed(1)) < 0.5).float()
    shifts = torch.tensor([[0, 0], [4, 1], [3, 3], [2, 0], [1, 4]])
    drawn = masks_of(cells, shifts, (SIZE, SIZE))
    cell = 5  # ⌈32 / 7⌉
    for mask, pattern, (down, right) in zip(drawn, cells.numpy(), shifts.tolist(), strict=True):
        large = resize(pattern, (8 * cell, 8 * cell), order=1, mode="edge", anti_aliasing=False)
        np.testing.assert_allclose(mask, large[down : down + SIZE, right : right + SIZE], atol=1e-6)


def test_meaningful_perturbation_hides_the_patch_and_little_else() -> None:
    """A dark surround, so that the blur takes the patch's light away."""
    classifier = patch_classifier()
    image = torch.zeros(1, 3, SIZE, SIZE)
    image[:, :, PATCH[0], PATCH[1]] = 1
    drawn = meaningful_perturbation(classifier, image, torch.tensor([1]), steps=150, grid=16, l1=0.05)
    up = F.interpolate(drawn[:, None], SIZE, mode="bilinear")[0, 0]
    inside = torch.zeros_like(up, dtype=torch.bool)
    inside[6:22, 10:26] = True  # the patch and what the blur takes from
    assert up[PATCH].mean() > 5 * up[~inside].mean()
    assert drawn.min() >= 0
    assert drawn.max() <= 1


def test_extremal_perturbation_keeps_the_patch_at_its_area() -> None:
    classifier = patch_classifier(size=112, patch=(slice(40, 75), slice(30, 65)))
    image = torch.rand(1, 3, 112, 112, generator=torch.Generator().manual_seed(2)) * 0.05
    image[:, :, 40:75, 30:65] += 0.9
    drawn = extremal_perturbation(classifier, image, torch.tensor([1]), areas="0.12", steps=300)[0]
    assert drawn.min() >= 0
    assert drawn.max() <= 1 + 1e-6
    with_margin = (7 * (16 + 6) - 6) ** 2  # the pixels that the area is a share of
    assert drawn.sum().item() == pytest.approx(0.12 * with_margin, rel=0.25)
    rows, columns = torch.meshgrid(torch.arange(112.0), torch.arange(112.0), indexing="ij")
    centre = [(drawn * axis).sum() / drawn.sum() for axis in (rows, columns)]
    assert abs(centre[0] - 57) < 8
    assert abs(centre[1] - 47) < 8


def test_a_smooth_mask_is_the_softly_greatest_weighted_cell() -> None:
    """Written out pixel by pixel: cell i lies at pixel 7 i."""
    smooth = SmoothMask((56, 49), torch.zeros(1, dtype=torch.float64))
    assert smooth.shape == (8, 7)
    cells = torch.rand(2, 8, 7, generator=torch.Generator().manual_seed(3)).double()
    masks, full = smooth(cells)
    assert full.shape == (2, 7 * (8 + 6) - 6, 7 * (7 + 6) - 6)
    for y, x in [(0, 0), (17, 30), (55, 48), (31, 3)]:
        values = []
        for i in range(y // 7 - 4, y // 7 + 5):
            for j in range(x // 7 - 4, x // 7 + 5):
                d = math.hypot(y - 7 * i, x - 7 * j) / 21
                known = cells[1, i, j].item() if 0 <= i < 8 and 0 <= j < 7 else 0.0
                values.append(math.exp(-2 * max(d - 0.5, 0) ** 2) * known)
        w = torch.tensor(values).double()
        torch.testing.assert_close(masks[1, y, x], ((20 * w).softmax(0) * w).sum())
    one = torch.zeros(1, 8, 7)
    one[0, 4, 3] = 1
    mask = smooth(one.double())[0][0]
    assert mask[28, 21] == mask[34, 21] > 0.99
    assert mask[28, 21] > mask[28, 40] > 0.4
    assert smooth(torch.zeros(1, 8, 7).double())[0].abs().max() == 0


def test_a_pixel_is_taken_between_two_blurs_of_the_pyramid() -> None:
    image = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    levels = pyramid(image)
    assert torch.equal(levels[0], image)
    assert levels[-1].std() < 0.2 * image.std()
    torch.testing.assert_close(perturbed(levels, torch.ones(1, 48, 48)), image)
    torch.testing.assert_close(perturbed(levels, torch.zeros(1, 48, 48)), levels[-1])
    between = perturbed(levels, torch.full((1, 48, 48), 1 - 1.5 / 7))
    torch.testing.assert_close(between, (levels[1] + levels[2]) / 2)


@pytest.mark.parametrize("text", ["", "0", "1", "0.1+x", "-0.2"])
def test_areas_that_are_none_are_told(text: str) -> None:
    with pytest.raises(UsageError, match="must be shares between 0 and 1"):
        areas_of(text)
    assert areas_of("0.05+0.2") == [0.05, 0.2]
