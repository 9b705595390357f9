"""The ratios as a picture: a bar a peer, log axis, a line at 1×."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from bench.report.style import BAND, INK, PALE, RULE
from bench.speed.compare import Row
from bench.speed.measurement import spoken

COLOURS = {
    "pytorch-grad-cam": "#31688e", "torch-cam": "#c8510a", "captum": "#35884f", "quantus": "#8a4f9e",
    "plain loop": "#7f8b98", "bare forwards": INK,
}  # fmt: skip
BAR, GAP, TOP, BOTTOM = 0.27, 0.14, 1.0, 0.95
"""Inches: a bar, the space between works, title, axis with legend."""


def draw(rows: Sequence[Row], title: str, subtitle: str, path: Path) -> None:
    """Works from above to below with a bar per peer that was measured; whiskers to the smallest and largest round."""
    known = [row for row in rows if not math.isnan(row.ratio)]
    works = [(work, list(group)) for work, group in groupby(known, key=lambda row: row.work)]
    names = max((len(work) for work, _ in works), default=10)
    inches = sum(BAR * len(group) + GAP for _, group in works) or BAR
    width, height, left = 11.0, TOP + inches + BOTTOM, 0.35 + 0.083 * names
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.2 / width, 1 - 0.18 / height, title, va="top", size=15, weight="bold", color=INK)
    figure.text(0.2 / width, 1 - 0.52 / height, subtitle, va="top", size=10, color=PALE)
    axes = figure.add_axes((left / width, BOTTOM / height, (width - left - 0.95) / width, inches / height))
    prepare(axes, known, inches)
    top = 0.0
    for i, (work, group) in enumerate(works):
        depth = BAR * len(group) + GAP
        if i % 2 == 0:
            axes.axhspan(top, top + depth, color=BAND, lw=0, zorder=0)
        axes.annotate(work, (0, top + depth / 2), (-8, 0), axes.get_yaxis_transform(), "offset points", ha="right",
                      va="center", size=10, color=INK, annotation_clip=False)  # fmt: skip
        for j, row in enumerate(group):
            bar(axes, row, top + GAP / 2 + BAR * (j + 0.5))
        top += depth
    legend(figure, known, width, height)
    figure.savefig(path, format="png", metadata={"Software": None})


def prepare(axes: Axes, rows: Sequence[Row], inches: float) -> None:
    """A log axis that holds 1× and every interval, with ticks at 1, 2 and 5 or at powers of ten alone."""
    ends = [1.0, *(row.low for row in rows), *(row.high for row in rows)]
    low, high = min(ends) / 1.15, max(ends) * 1.25
    low, high = min(low, 0.7), max(high, 1.5)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(inches, 0)
    axes.set_yticks([])
    steps = (1, 2, 5) if high / low < 3000 else (1,)
    ticks = [m * 10.0**e for e in range(-4, 7) for m in steps if low <= m * 10.0**e <= high]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}×")
    axes.tick_params(axis="x", colors=PALE, labelcolor=INK, labelsize=9, length=3)
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.grid(axis="x", color=RULE, lw=0.6, zorder=0)
    axes.axvline(1.0, color=INK, lw=1.4, zorder=4)


def bar(axes: Axes, row: Row, height: float) -> None:
    colour = COLOURS.get(row.peer, PALE)
    axes.barh(height, row.ratio - 1, BAR * 0.78, left=1.0, color=colour, alpha=0.85, zorder=2)
    axes.plot((row.low, row.high), (height, height), color=INK, lw=1.3, solid_capstyle="butt", zorder=3)
    for end in (row.low, row.high):
        axes.plot((end, end), (height - 0.05, height + 0.05), color=INK, lw=1.3, zorder=3)
    axes.annotate(f"{spoken(row.ratio)}×", (1, height), (6, 0), axes.get_yaxis_transform(), "offset points", ha="left",
                  va="center", size=9, color=colour, weight="bold", annotation_clip=False)  # fmt: skip


def legend(figure: Figure, rows: Sequence[Row], width: float, height: float) -> None:
    figure.text(0.2 / width, 0.42 / height, "peer's time / ours (scoring: share of bare forwards); right of 1× ours is "
                "faster; whiskers: smallest and largest round", size=9, color=PALE)  # fmt: skip
    x = 0.2
    for peer in dict.fromkeys(row.peer for row in rows):
        figure.text(x / width, 0.14 / height, f"■  {peer}", size=10, color=COLOURS.get(peer, PALE))
        x += 0.5 + 0.085 * len(peer)
