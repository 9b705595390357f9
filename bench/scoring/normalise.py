"""From a raw saliency map to a map in [0, 1] at the size of the image, and the one policy for degenerate maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from bench.core.explainer import MapOrder
from bench.core.maps import CONSTANT, min_max, upsample

ORDERS: dict[MapOrder, Callable[[torch.Tensor, int], torch.Tensor]] = {
    "positive": lambda maps, size: min_max(upsample(maps.relu(), size)),
    "two-step": lambda maps, size: min_max(upsample(min_max(maps.relu()), size)),
    "up-then-min-max": lambda maps, size: min_max(upsample(maps, size)),
    "min-max-then-up": lambda maps, size: upsample(min_max(maps.relu()), size),
    "bicubic": lambda maps, size: min_max(upsample(maps, size, "bicubic")),
    "as-is": upsample,
}
"""Orders in circulation: ours; pytorch-grad-cam; Opti-CAM; CA-Stream; wsolevaluation; RISE."""


def normalise(raw: torch.Tensor | Sequence[torch.Tensor], size: int, order: MapOrder) -> tuple[torch.Tensor, list[str]]:
    """(B, h, w) raw maps, or a list of maps (h, w) of any shapes, to (B, size, size) maps and, per map, what is
    degenerate about it. Each map takes its own way: the others of its batch change nothing.

    "" for a sound map; "non-finite" for a raw map with NaN or infinity; "constant" for a map that does not tell any
    pixel from another. Both kinds become the zero map: it explains nothing, is scored like every other map and counted
    in the table, never dropped.
    """
    if not isinstance(raw, torch.Tensor):
        parts = [normalise(one[None], size, order) for one in raw]
        return torch.cat([maps for maps, _ in parts]), [kind for _, kinds in parts for kind in kinds]
    finite = raw.isfinite().flatten(1).all(1)
    maps = ORDERS[order](torch.where(finite[:, None, None], raw, 0.0), size)
    span = maps.amax((1, 2)) - maps.amin((1, 2))
    constant = span <= CONSTANT * maps.abs().amax((1, 2))
    maps = torch.where(constant[:, None, None], 0.0, maps)
    kinds = ["non-finite" if not ok else "constant" if flat else "" for ok, flat in zip(finite, constant, strict=True)]
    return maps, kinds


def tied_share(saliency: torch.Tensor) -> float:
    """Share of the pixels of a (H, W) map whose value another pixel has too."""
    counts = saliency.flatten().unique(return_counts=True)[1]
    return float(counts[counts > 1].sum() / saliency.numel())
