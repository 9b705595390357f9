"""Maps of equal area: what is left of a map when it can no longer win by showing more."""

from __future__ import annotations

import pytest
import torch

import methods  # noqa: F401
from bench.core.errors import UsageError
from bench.core.maps import equal_area, min_max
from bench.core.protocols import protocol
from bench.scoring.normalise import normalise

SIZE = 64


def ramp() -> torch.Tensor:
    return torch.linspace(0, 1, SIZE, dtype=torch.float64).expand(SIZE, SIZE)


def disc(radius: float) -> torch.Tensor:
    rows = torch.arange(SIZE, dtype=torch.float64) - (SIZE - 1) / 2
    return ((rows[:, None] ** 2 + rows[None] ** 2) <= radius**2).double()


@pytest.mark.parametrize("area", [0.1, 0.3, 0.5, 0.8])
def test_the_mean_is_the_area_and_the_order_stays(area):
    bumps = min_max(torch.rand(5, SIZE, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    found = equal_area(bumps, area)
    assert found.mean((1, 2)) == pytest.approx(torch.full((5,), area).double(), abs=1e-5)
    assert ((found >= 0) & (found <= 1)).all()
    assert torch.equal(found.flatten(1).argsort(1), bumps.flatten(1).argsort(1))


def test_a_ramp_takes_the_power_that_the_integral_says():
    """∫ x^g dx = 1 / (g + 1), so a mean of 0.25 asks for g = 3."""
    wide = torch.linspace(0, 1, 100_001, dtype=torch.float64).expand(1, 1, -1)
    assert torch.allclose(equal_area(wide, 0.25), wide**3, atol=1e-4)


@pytest.mark.parametrize("gamma", [0.25, 0.5, 2.0, 4.0])
def test_monotone_transforms_of_a_map_give_the_same(gamma):
    smooth = normalise(torch.rand(4, 7, 7, generator=torch.Generator().manual_seed(1)), SIZE, "positive")[0]
    assert torch.allclose(equal_area(smooth**gamma, 0.3), equal_area(smooth, 0.3), atol=1e-4)


def test_constant_pieces_are_scaled_to_the_area():
    wide, narrow = disc(24), disc(8)
    assert narrow.mean() < 0.3 < wide.mean()
    down, up = equal_area(torch.stack([wide, narrow]), 0.3)
    assert torch.equal(down, wide * 0.3 / wide.mean())
    assert torch.allclose(up, 1 - (1 - narrow) * 0.7 / (1 - narrow.mean()))
    assert torch.stack([down, up]).mean((1, 2)) == pytest.approx(torch.tensor([0.3, 0.3]).double())


def test_a_map_on_a_narrow_support_shows_all_of_it_whatever_its_gamma():
    bump = ramp() * disc(8)
    found = equal_area(torch.stack([bump, bump**2, bump**0.5]), 0.3)
    assert torch.allclose(found, found[:1])
    assert (found[0][disc(8) == 1] == 1).all()


def test_the_empty_map_shows_every_pixel_alike():
    assert torch.allclose(equal_area(torch.zeros(1, SIZE, SIZE), 0.3), torch.tensor(0.3))


def test_each_map_takes_its_own_way():
    maps = torch.stack([ramp(), disc(24), disc(8), torch.zeros(SIZE, SIZE).double()])
    alone = torch.cat([equal_area(one[None], 0.3) for one in maps])
    assert torch.equal(equal_area(maps, 0.3), alone)


def test_the_protocol_brings_every_map_to_its_area():
    raw = torch.randn(3, 7, 7, generator=torch.Generator().manual_seed(2))
    maps, kinds = normalise(raw, SIZE, "positive", protocol("clean+area=0.3").area)
    assert kinds == ["", "", ""]
    assert maps.mean((1, 2)) == pytest.approx(torch.full((3,), 0.3), abs=1e-4)


def test_rows_without_an_area_keep_their_keys():
    assert "area" not in protocol("clean").key
    assert "area=0.3" in protocol("clean+area=0.3").key


@pytest.mark.parametrize("area", ["1", "-0.1", "nan"])
def test_an_area_that_no_map_can_have_is_refused(area):
    with pytest.raises(UsageError, match="area"):
        protocol(f"clean+area={area}")
