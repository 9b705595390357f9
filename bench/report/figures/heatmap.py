"""A table of numbers in colours, for the figures that compare."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.report.style import DIVERGING, INK, PALE, SMALL, new_figure, title
from bench.tables.short_names import short_names

CELL, ROW, TOP, HEAD = 0.55, 0.17, 0.45, 0.32
FIT = 4.9
"""Inches for the cells at most."""
NAME, LETTER = 36, 0.05
"""Letters of a name at most, and inches a letter."""


def heatmap(
    heading: str, note: str, rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float]],
    texts: Sequence[Sequence[str]], scales: Sequence[float], pale: Sequence[bool] = (),
) -> Figure:  # fmt: skip
    """Cells coloured by value / scale of the column in [-1, 1]; rows that `pale` marks have grey names."""
    cell = min(CELL, FIT / len(columns))
    names = short_names(rows, [NAME] * len(rows))
    left = 0.15 + LETTER * max(map(len, names))
    drawing = new_figure(max(4.2, left + cell * len(columns) + 0.1), TOP + HEAD + ROW * len(rows) + 0.1)
    title(drawing, heading, note)
    width, height = drawing.get_size_inches()
    box = (left / width, 0.08 / height, cell * len(columns) / width, ROW * len(rows) / height)
    axes = drawing.add_axes(box)
    axes.set_xlim(0, len(columns))
    axes.set_ylim(len(rows), 0)
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            if math.isfinite(value):
                share = float(np.clip(0.5 + 0.5 * value / (scales[j] or 1.0), 0, 1))
                axes.add_patch(Rectangle((j, i), 0.97, 0.94, color=DIVERGING(share), lw=0))
            ink = "white" if math.isfinite(value) and abs(value) > 0.8 * scales[j] else INK
            axes.text(j + 0.49, i + 0.5, texts[i][j], ha="center", va="center", size=SMALL - 0.8, color=ink)
    axes.xaxis.tick_top()
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns, size=SMALL, color=INK)
    axes.set_yticks(np.arange(len(rows)) + 0.5, names, size=SMALL, color=INK)
    for label, grey in zip(axes.get_yticklabels(), pale or [False] * len(rows), strict=True):
        label.set_color(PALE if grey else INK)
    axes.tick_params(length=0, pad=2)
    axes.spines[:].set_visible(False)
    return drawing
