"""From raw maps to [0, 1], and degenerate maps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from bench.scoring.normalise import ORDERS, normalise, tied_shares

RAW = torch.tensor([[[-2.0, 0.0], [1.0, 3.0]]])


def test_positive_part_is_taken_before_min_max():
    maps, kinds = normalise(RAW, 2, "positive")
    assert torch.allclose(maps, torch.tensor([[[0.0, 0.0], [1 / 3, 1.0]]]))
    assert kinds == [""]


def test_opti_cam_keeps_the_negative_side():
    maps, _ = normalise(RAW, 2, "up-then-min-max")
    assert torch.allclose(maps, torch.tensor([[[0.0, 0.4], [0.6, 1.0]]]))


def test_min_max_before_upsampling_can_stay_below_one_and_two_steps_cannot():
    raw = torch.zeros(1, 7, 7)
    raw[0, 3, 3] = 5
    castream, _ = normalise(raw, 224, "min-max-then-up")
    two_step, _ = normalise(raw, 224, "two-step")
    expected = F.interpolate(raw[:, None] / 5, (224, 224), mode="bilinear", align_corners=False)[:, 0]
    assert torch.allclose(castream, expected)
    assert castream.max() < 1
    assert two_step.max() == 1


def test_as_is_touches_nothing_but_the_size():
    assert torch.equal(normalise(RAW, 2, "as-is")[0], RAW)


@pytest.mark.parametrize("order", ORDERS)
def test_degenerate_maps_become_the_zero_map_and_are_told(order):
    raw = torch.stack([
        torch.full((3, 3), 0.7),
        torch.full((3, 3), 0.7) + 1e-8 * torch.rand(3, 3),
        torch.tensor([[1.0, 2, 3], [4, float("nan"), 6], [7, 8, 9]]),
        torch.tensor([[1.0, 2, 3], [4, float("inf"), 6], [7, 8, 9]]),
        torch.zeros(3, 3),
        torch.arange(9.0).reshape(3, 3),
    ])  # fmt: skip
    maps, kinds = normalise(raw, 6, order)
    assert kinds == ["constant", "constant", "non-finite", "non-finite", "constant", ""]
    assert maps.isfinite().all()
    assert (maps[:5] == 0).all()


def test_one_image_does_not_see_the_others():
    raw = torch.randn(4, 7, 7) * torch.tensor([1e-9, 1.0, 1e6, 3.0])[:, None, None]
    together, _ = normalise(raw, 32, "positive")
    alone = torch.cat([normalise(raw[i : i + 1], 32, "positive")[0] for i in range(4)])
    assert torch.equal(together, alone)
    assert torch.allclose(together.amax((1, 2)), torch.ones(4))


def test_larger_maps_are_shrunk():
    assert normalise(torch.rand(1, 448, 448), 224, "positive")[0].shape == (1, 224, 224)


def test_tied_share_counts_pixels_that_share_their_value():
    maps = torch.tensor([[[0.0, 0.0], [0.5, 1.0]], [[1.0, 1.0], [1.0, 1.0]], [[0.0, 1.0], [2.0, 3.0]]])
    assert tied_shares(maps) == [0.5, 1, 0]


@pytest.mark.parametrize("order", ORDERS)
def test_maps_of_several_shapes_come_out_as_one_by_one(order):
    generator = torch.Generator().manual_seed(0)
    raw = [torch.randn(side, side, generator=generator) for side in (7, 14, 7, 32, 14)]
    maps, kinds = normalise(raw, 32, order)
    for one, kind, own in zip(maps, kinds, raw, strict=True):
        alone, (expected,) = normalise(own[None], 32, order)
        assert torch.equal(one, alone[0])
        assert kind == expected
