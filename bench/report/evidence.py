"""What stands behind a leaderboard: images, the network's answers, maps, values and curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bench.core.explainer import MapOrder
from bench.core.maps import upsample
from bench.scoring.normalise import normalise
from bench.tables.content import Content
from bench.tables.paper_tables import Reported

Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]
PERCENTILE = 0.99
NEGATIVE = 0.05
"""Share of a map's largest magnitude below zero from which it counts as signed."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """A finished table and all that pictures of it need. Nothing here explains or asks the network again."""

    board: Content
    rows: pd.DataFrame
    """A row per method × image of the table: method, image, key, label, target, p, right, degenerate, tied, the top
    classes of the masked image (masked_image_top, masked_image_top_p), and by the metric's name a value (unscaled) and
    a vector NAME_vector."""
    images: pd.DataFrame
    """The list of images as `images.csv` has it: id, file, digest, …"""
    classes: Sequence[str]
    """Names of the network's classes."""
    size: int
    """Side of the network's input in pixels."""
    orders: Mapping[str, MapOrder]
    """By method: how its raw map becomes one in [0, 1]."""
    log_probabilities: Mapping[str, NDArray[np.float64]]
    """By image id: (C,) the network's answer for the untouched image, as far as it is stored."""
    load: Callable[[str], Picture | None]
    """An image by id; None where its file is gone."""
    stored_maps: Callable[[pd.DataFrame], Mapping[str, torch.Tensor]]
    """Raw maps (h, w) of rows indexed by their key, by key, as far as they are kept."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The settings of the run."""
    reported: Mapping[tuple[str, str], Reported] = field(default_factory=dict)
    """By method and metric, what a paper printed for the same network, method and protocol."""
    shown: Sequence[str] = ()
    """Images of the figures, by id."""

    def class_name(self, index: int) -> str:
        return self.classes[index] if 0 <= index < len(self.classes) else str(index)

    def row(self, method: str, image: str) -> pd.Series | None:
        """The row of a method on an image; None where there is none."""
        found = self.rows[(self.rows.method == method) & (self.rows.image == image)]
        return None if found.empty else found.iloc[0]

    def raw_maps(self, image: str, methods: Sequence[str] | None = None) -> dict[str, torch.Tensor]:
        """The stored maps of an image by method: signed, at their own resolution, scaled to a largest magnitude of
        1."""
        rows = self.rows[self.rows.image == image]
        rows = rows if methods is None else rows[rows.method.isin(methods)]
        maps = self.stored_maps(rows.set_index("key"))
        return {row.method: maps[row.key].float() for row in rows.itertuples() if row.key in maps}

    def maps(self, image: str, methods: Sequence[str] | None = None) -> dict[str, Map]:
        """(S, S) maps in [0, 1] of an image by method, normalised as the protocol says: the masks that were scored, but
        for the rounding to float16."""
        raw = self.raw_maps(image, methods)
        found: dict[str, Map] = {}
        for order in dict.fromkeys(self.orders[method] for method in raw):
            alike = [method for method in raw if self.orders[method] == order]
            maps, _ = normalise([raw[method] for method in alike], self.size, order, self.board.protocol.area)
            found |= dict(zip(alike, maps.numpy(), strict=True))
        return {method: found[method] for method in raw}

    def signed_maps(self, image: str, methods: Sequence[str] | None = None) -> dict[str, Map]:
        """By method, `signed` of the maps of an image that fall below zero somewhere."""
        raw = self.raw_maps(image, methods)
        below = {m: one for m, one in raw.items() if float(one.min()) < -NEGATIVE * float(one.abs().max())}
        return {method: self.signed(one) for method, one in below.items()}

    def signed(self, raw: torch.Tensor) -> Map:
        """(S, S) a raw map at the size of the image, divided by the 99th percentile of its magnitude and cut to
        [-1, 1]: a few pixels of a gradient would make all others white."""
        large = upsample(raw[None].float().nan_to_num(), self.size)[0]
        scale = large.abs().flatten().quantile(PERCENTILE)
        scale = scale if scale > 0 else large.abs().max().clamp_min(torch.finfo(large.dtype).tiny)
        return (large / scale).clamp(-1, 1).numpy()

    def top(self, image: str, count: int = 5) -> list[tuple[int, float]]:
        """The likeliest classes of the untouched image with their probabilities; empty where they are not stored."""
        if (log_p := self.log_probabilities.get(image)) is None:
            return []
        best = np.argsort(-log_p, kind="stable")[:count]
        return [(int(i), float(np.exp(log_p[i]))) for i in best]


@dataclass(frozen=True, eq=False)
class Picture:
    """An image as the network saw it."""

    pixels: Pixels
    """(S, S, 3)."""
    boxes: NDArray[np.float64] | None = None
    """(n, 4) true boxes x0, y0, x1, y1 in pixels, ends exclusive."""
