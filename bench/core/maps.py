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


HALVINGS = 26
"""Of the interval of log₂ exponents, so that the mean is right to about 1e-6."""
LARGEST = 14.0
"""Log₂ of the largest exponent that is tried, and minus that of the smallest."""


def equal_area(maps: torch.Tensor, area: float) -> torch.Tensor:
    """(B, H, W) maps in [0, 1] to m^g with the g > 0, found per map by bisection, for which mean m^g = `area`.

    What remains of a map is its order and not how much it shows: m and m^γ give the same. Where no power has this mean,
    since too many pixels share the least or the greatest value, the limit is taken, the indicator of m > 0 or of m = 1,
    and scaled: up, the rest raised alike from 0, or down. A map that is 0 everywhere becomes `area` everywhere.
    """
    log = maps.double().clamp(0, 1).log()
    low, high = (log.new_full((len(log), 1, 1), end) for end in (-LARGEST, LARGEST))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        wide = (middle.exp2() * log).exp().mean((1, 2), keepdim=True) > area
        low, high = torch.where(wide, middle, low), torch.where(wide, high, middle)
    powers = (high.exp2() * log).exp()
    support, peak = ((log > -torch.inf).double(), (log == 0).double())
    shown, most = support.mean((1, 2), keepdim=True), peak.mean((1, 2), keepdim=True)
    raised = 1 - (1 - support) * (1 - area) / (1 - shown).clamp_min(torch.finfo(log.dtype).tiny)
    powers = torch.where(shown <= area, raised, powers)
    return torch.where(most >= area, peak * area / most, powers).to(maps)
