"""Whether other networks confirm what a method gains on the explained one."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.core.metric import Metric
from bench.report.evidence import Evidence
from bench.report.figure import figure
from bench.report.style import BEST, COLOURS, INK, PALE, RULE, SMALL, TEXT, WIDTH, new_figure, plain, title
from bench.tables.content import Content, Transfer
from bench.tables.short_names import cut

COLUMNS = 3
PANEL, TOP, BOTTOM, ROW = 2.0, 0.4, 0.2, 0.11
"""Inches: a panel, the title, the label below, a line of the key."""


@figure("transfer")
def transfer(evidence: Evidence) -> Figure | None:
    """A panel per judged metric: each method's own gain over the reference against the gain that the panel confirms,
    both with 95 % intervals, above zero is better. None without judges."""
    return draw(evidence.board)


def draw(board: Content) -> Figure | None:
    controls = {line.method.label for line in board.controls}
    found = {
        metric: [one for one in board.transfers if one.own.metric == metric.name and one.own.method not in controls]
        for metric in board.metrics
        if metric.name in board.confirming
    }
    found = {metric: gains for metric, gains in found.items() if gains}
    if not found:
        return None
    names = list(dict.fromkeys(one.own.method for gains in found.values() for one in gains))
    columns = min(COLUMNS, len(found))
    deep = math.ceil(len(found) / columns)
    key = BOTTOM + ROW * (len(names) + 1)
    drawing = new_figure(WIDTH, TOP + deep * PANEL + key)
    judges = board.provenance.get("judges", "other networks")
    title(drawing, "Own gain and confirmed gain",
          f"difference from grad-cam over the same images, above zero is better; judged by {judges}; {board.subject}",
    )  # fmt: skip
    height = drawing.get_figheight()
    for i, (metric, gains) in enumerate(found.items()):
        row, column = divmod(i, columns)
        box = (0.07 + column / columns * 0.95, 1 - (TOP + (row + 1) * PANEL - 0.2) / height,
               0.95 / columns - 0.07, (PANEL - 0.5) / height)  # fmt: skip
        axes = drawing.add_axes(box)
        plain(axes)
        panel(axes, metric, gains, names)
        if row == deep - 1:
            axes.set_xlabel("own gain", size=SMALL, color=INK)
        if column == 0:
            axes.set_ylabel("confirmed gain", size=SMALL, color=INK)
    for i, name in enumerate(names):
        place = (ROW * (len(names) - i) - 0.02) / height
        drawing.text(0.07, place, f"{i + 1}  {cut(name, 130)}", size=SMALL, color=INK, va="center")
    return drawing


def panel(axes: Axes, metric: Metric, gains: list[Transfer], names: list[str]) -> None:
    """The points of a metric, numbered as in the key, with the line on which all of a gain is confirmed; blue where
    the interval of the confirmed gain lies above zero."""
    sign = -1.0 if metric.better == "lower" else 1.0
    axes.axhline(0, color=RULE, lw=0.6, zorder=0)
    axes.axline((0, 0), slope=1, color=PALE, lw=0.5, ls=":", zorder=0)
    for one in gains:
        x, y = sign * one.own.difference, sign * one.confirmed.difference
        sides = [sorted((sign * part.low, sign * part.high)) for part in (one.own, one.confirmed)]
        colour = COLOURS[0] if sides[1][0] > 0 else BEST
        axes.plot(sides[0], [y, y], color=colour, lw=0.6, alpha=0.6)
        axes.plot([x, x], sides[1], color=colour, lw=0.6, alpha=0.6)
        axes.plot(x, y, "o", ms=3, color=colour, mew=0)
        number = str(names.index(one.own.method) + 1)
        axes.annotate(number, (x, y), (3, 2), textcoords="offset points", size=SMALL, color=INK)
    axes.set_title(f"{metric.name}  {metric.title}"[:40], size=TEXT, loc="left", color=INK)
    axes.margins(0.1, 0.1)
