"""What a map should look like whatever it shows: functions of maps (B, S, S) in [0, 1] to (B,)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from bench.core.registry import Registry

REGULARISERS: Registry[Callable[..., Tensor]] = Registry("regulariser")

R = TypeVar("R", bound=Callable[..., Tensor])


def regulariser(name: str) -> Callable[[R], R]:
    """Register a function (maps, *, parameters) -> (B,)."""

    def register(function: R) -> R:
        REGULARISERS.add(name, function, signature_of=function)
        return function

    return register


@regulariser("l1")
def l1(maps: Tensor) -> Tensor:
    """mean m, the map's area."""
    return maps.mean((1, 2))


@regulariser("l2")
def l2(maps: Tensor) -> Tensor:
    """mean m²."""
    return maps.square().mean((1, 2))


@regulariser("area")
def area(maps: Tensor, *, target: float = 0.3) -> Tensor:
    """|mean m − target|."""
    return (maps.mean((1, 2)) - target).abs()


@regulariser("area-band")
def area_band(maps: Tensor, *, low: float = 0.05, high: float = 0.3) -> Tensor:
    """max(0, low − mean m) + max(0, mean m − high); after NN-Explainer (Stalder et al. 2022, arXiv 2205.11266), which
    bounds the area of the sorted mask."""
    mean = maps.mean((1, 2))
    return (low - mean).relu() + (mean - high).relu()


@regulariser("sparsity")
def sparsity(maps: Tensor) -> Tensor:
    """mean (m + 5e-4)^0.3, which pulls small values to 0 more than large ones; RTIS (Dabkowski & Gal 2017)."""
    return (maps + 5e-4).pow(0.3).mean((1, 2))


@regulariser("binary")
def binary(maps: Tensor) -> Tensor:
    """mean m (1 − m), 0 for maps of zeros and ones."""
    return (maps * (1 - maps)).mean((1, 2))


@regulariser("compactness")
def compactness(maps: Tensor) -> Tensor:
    """Σ m |r − c|² / Σ m, c = Σ m r / Σ m the centroid: the second moment, in units of the side squared.

    1/6 for a full map, 0 for a single pixel and for an empty map, whose Σ m counts as 1: its gradient is finite.
    """
    height, width = maps.shape[1:]
    y = torch.arange(height, device=maps.device, dtype=maps.dtype)[:, None] / height
    x = torch.arange(width, device=maps.device, dtype=maps.dtype)[None, :] / width
    total = maps.sum((1, 2), keepdim=True)
    share = maps / torch.where(total > 0, total, 1)
    dy = y - (share * y).sum((1, 2), keepdim=True)
    dx = x - (share * x).sum((1, 2), keepdim=True)
    return (share * (dx.square() + dy.square())).sum((1, 2))


@regulariser("tv")
def total_variation(maps: Tensor) -> Tensor:
    """mean |∂m/∂x| + mean |∂m/∂y|, differences of neighbouring pixels."""
    return maps.diff(dim=2).abs().mean((1, 2)) + maps.diff(dim=1).abs().mean((1, 2))
