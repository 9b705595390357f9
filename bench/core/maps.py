"""The one way of upsampling and of min-max scaling saliency maps, for the harness and for explainers that need both."""

from __future__ import annotations

import torch
import torch.nn.functional as F

CONSTANT = 1e-6
"""A map whose span is below this share of its largest magnitude holds rounding noise only and counts as constant."""


def upsample(maps: torch.Tensor, size: int, mode: str = "bilinear") -> torch.Tensor:
    """(B, h, w) to (B, size, size), `mode` bilinear or bicubic, align_corners=False; larger maps are shrunk
    with antialiasing."""
    if maps.shape[-2:] == (size, size):
        return maps
    shrink = maps.shape[-1] > size or maps.shape[-2] > size
    return F.interpolate(maps[:, None], (size, size), mode=mode, align_corners=False, antialias=shrink)[:, 0]


def min_max(maps: torch.Tensor) -> torch.Tensor:
    """n(S) = (S − min S) / (max S − min S) per map; n(constant) = 0."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    span = high - low
    constant = span <= CONSTANT * torch.maximum(high.abs(), low.abs())
    return torch.where(constant, 0.0, (maps - low) / torch.where(constant, 1.0, span))
