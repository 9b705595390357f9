"""From a raw saliency map to a map in [0, 1] at the size of the image, and the one policy for degenerate maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from bench.core.explainer import MapOrder
from bench.core.maps import CONSTANT, equal_area, min_max, upsample

ORDERS: dict[MapOrder, Callable[[torch.Tensor, int], torch.Tensor]] = {
    "positive": lambda maps, size: min_max(upsample(maps.relu(), size)),
    "two-step": lambda maps, size: min_max(upsample(min_max(maps.relu()), size)),
    "up-then-min-max": lambda maps, size: min_max(upsample(maps, size)),
    "min-max-then-up": lambda maps, size: upsample(min_max(maps.relu()), size),
    "bicubic": lambda maps, size: min_max(upsample(maps, size, "bicubic")),
    "as-is": upsample,
}
"""Orders in circulation: ours; pytorch-grad-cam; Opti-CAM; CA-Stream; wsolevaluation; RISE."""


def normalise(
    raw: torch.Tensor | Sequence[torch.Tensor], size: int, order: MapOrder, area: float = 0.0
) -> tuple[torch.Tensor, list[str]]:
    """(B, h, w) raw maps, or a list of maps (h, w) of any shapes, to (B, size, size) maps and, per map, what is
    degenerate about it. Each map takes its own way: the others of its batch change nothing.

    "" for a sound map; "non-finite" for a raw map with NaN or infinity; "constant" for a map that does not tell any
    pixel from another. Both kinds become the zero map: it explains nothing, is scored like every other map and counted
    in the table, never dropped. With an `area`, every map is then brought to this mean (`bench.core.maps.equal_area`).
    """
    if not isinstance(raw, torch.Tensor):
        return normalise_list(raw, size, order, area)
    finite = raw.isfinite().flatten(1).all(1)
    maps = ORDERS[order](torch.where(finite[:, None, None], raw, 0.0), size)
    span = maps.amax((1, 2)) - maps.amin((1, 2))
    constant = span <= CONSTANT * maps.abs().amax((1, 2))
    maps = torch.where(constant[:, None, None], 0.0, maps)
    kinds = ["non-finite" if not ok else "constant" if flat else "" for ok, flat in zip(finite, constant, strict=True)]
    return equal_area(maps, area) if area else maps, kinds


def normalise_list(
    raw: Sequence[torch.Tensor], size: int, order: MapOrder, area: float = 0.0
) -> tuple[torch.Tensor, list[str]]:
    """`normalise` of maps of any shapes: those of one shape together."""
    places: dict[torch.Size, list[int]] = {}
    for place, one in enumerate(raw):
        places.setdefault(one.shape, []).append(place)
    found: dict[int, tuple[torch.Tensor, str]] = {}
    for group in places.values():
        maps, kinds = normalise(torch.stack([raw[place] for place in group]), size, order, area)
        found.update(zip(group, zip(maps, kinds, strict=True), strict=True))
    return torch.stack([found[place][0] for place in range(len(raw))]), [found[place][1] for place in range(len(raw))]


def tied_shares(maps: torch.Tensor) -> list[float]:
    """Per (H, W) map, the share of the pixels whose value another pixel has too."""
    values = np.sort(maps.detach().flatten(1).cpu().numpy(), axis=1)
    equal = values[:, 1:] == values[:, :-1]
    edge = np.zeros((len(values), 1), dtype=bool)
    tied = np.append(equal, edge, 1) | np.append(edge, equal, 1)
    return [float(share) for share in tied.mean(1, dtype=np.float64)]
