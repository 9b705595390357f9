"""Two maps of one method on one image beside each other: where two runs differ most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from bench.report.style import INK, PALE, SMALL, new_figure, title
from bench.report.tiles import Map, Pixels, heat, overlay
from bench.tables.short_names import cut

SIDE, WIDE, TOP, STEP = 0.95, 1.02, 0.45, 1.3
COLUMNS = 2
"""Pairs beside each other."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A method's map of an image in each of two runs, in [0, 1] at one size, with a line below."""

    method: str
    below: str
    a: Map | None
    b: Map | None
    pixels: Pixels | None = None
    """The image at the size of the maps; None where its file is gone: then the maps stand alone."""


def draw_pairs(pairs: Sequence[Pair]) -> Figure | None:
    """Image, map of a and map of b for every pair; None where no run kept a map."""
    shown = [pair for pair in pairs if pair.a is not None or pair.b is not None]
    if not shown:
        return None
    deep = -(-len(shown) // COLUMNS)
    width, height = 0.1 + COLUMNS * (3 * WIDE + 0.2), TOP + deep * STEP + 0.05
    drawing = new_figure(width, height)
    title(drawing, "Where the runs differ most", "image, map in run a, map in run b")
    for i, pair in enumerate(shown):
        row, column = divmod(i, COLUMNS)
        x, y = 0.08 + column * (3 * WIDE + 0.2), TOP + row * STEP
        for j, tile in enumerate(tiles(pair)):
            box = ((x + j * WIDE) / width, 1 - (y + SIDE) / height, SIDE / width, SIDE / height)
            axes = drawing.add_axes(box)
            axes.set_axis_off()
            if tile is None:
                axes.text(0.5, 0.5, "not kept", ha="center", va="center", size=SMALL, color=PALE)
            else:
                axes.imshow(tile, interpolation="nearest")
        for words, gap, colour in ((cut(pair.method, 40), 0.04, INK), (cut(pair.below, 62), 0.16, PALE)):
            drawing.text(x / width, 1 - (y + SIDE + gap) / height, words, size=SMALL - 0.5, va="top", color=colour)
    return drawing


def tiles(pair: Pair) -> list[Pixels | None]:
    maps = [None if one is None else heat(one) if pair.pixels is None else overlay(pair.pixels, one)
            for one in (pair.a, pair.b)]  # fmt: skip
    return [pair.pixels, *maps]


def plain_map(raw: np.ndarray, size: int) -> Map:
    """The positive part of a raw map, upsampled bilinearly and stretched to [0, 1]."""
    import torch

    from bench.core.maps import min_max, upsample

    maps = min_max(upsample(torch.from_numpy(np.asarray(raw, dtype=np.float32)).nan_to_num().relu()[None], size))
    return np.asarray(maps[0].numpy(), dtype=np.float32)
