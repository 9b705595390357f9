"""What a better score costs: every metric against the time per image."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.core.metric import Metric
from bench.report.evidence import Evidence
from bench.report.figure import figure
from bench.report.style import BEST, COLOURS, INK, PALE, RULE, SMALL, TEXT, WIDTH, new_figure, plain, title
from bench.tables.content import Cell, Line

COLUMNS = 3
PANEL, TOP, BOTTOM = 2.0, 0.5, 0.35

Point = tuple[str, float, float]
"""Name, seconds, value."""


@figure("pareto")
def pareto(evidence: Evidence) -> Figure | None:
    """A panel per metric; methods that nothing beats in both are joined and named, controls are hollow."""
    board = evidence.board
    lines = [line for line, _ in board.folded]
    found = [(metric, points(lines, metric)) for metric in board.metrics if metric.better != "none" and metric.ranks]
    found = [(metric, shown) for metric, shown in found if shown]
    if not found:
        return None
    columns = min(COLUMNS, len(found))
    deep = math.ceil(len(found) / columns)
    drawing = new_figure(WIDTH, TOP + deep * PANEL + BOTTOM - 0.2)
    title(drawing, "Score against time",
          f"seconds per image; joined: nothing is better and faster; hollow: controls; {board.subject}")  # fmt: skip
    height = drawing.get_figheight()
    controls = {line.method.label for line in lines if line.method.control}
    for i, (metric, shown) in enumerate(found):
        row, column = divmod(i, columns)
        box = (0.06 + column / columns * 0.96, 1 - (TOP + row * PANEL + PANEL - 0.42) / height,
               0.96 / columns - 0.065, (PANEL - 0.62) / height)  # fmt: skip
        axes = drawing.add_axes(box)
        plain(axes)
        panel(axes, metric, shown, controls)
        if row == deep - 1:
            axes.set_xlabel("seconds per image", size=SMALL, color=INK)
    return drawing


def points(lines: Sequence[Line], metric: Metric) -> list[Point]:
    found = [(x.method.label, x.method.seconds or math.nan, x.cells.get(metric.name, Cell()).value) for x in lines]
    return [point for point in found if math.isfinite(point[1]) and math.isfinite(point[2]) and point[1] > 0]


def front(shown: Sequence[Point], higher: bool) -> list[Point]:
    """Points that no other beats in both time and value, fastest first."""
    best: list[Point] = []
    for point in sorted(shown, key=lambda p: (p[1], -p[2] if higher else p[2])):
        if not best or (point[2] > best[-1][2] if higher else point[2] < best[-1][2]):
            best.append(point)
    return best


def panel(axes: Axes, metric: Metric, shown: Sequence[Point], controls: set[str]) -> None:
    methods = [point for point in shown if point[0] not in controls]
    best = front(methods, metric.better == "higher")
    names = {name for name, _, _ in best}
    axes.set_xscale("log")
    axes.plot([p[1] for p in best], [p[2] for p in best], color=BEST, lw=0.7, drawstyle="steps-post", zorder=1)
    for name, seconds, value in shown:
        if name in controls:
            axes.plot(seconds, value, "o", ms=3, mfc="none", mec=PALE, mew=0.6)
        else:
            axes.plot(seconds, value, "o", ms=3, color=BEST if name in names else COLOURS[0], mew=0)
    labels(axes, best)
    axes.set_title(f"{metric.name} {metric.arrow}  {metric.title}"[:40], size=TEXT, loc="left", color=INK)
    axes.grid(color=RULE, lw=0.3)
    axes.set_axisbelow(True)
    axes.margins(0.12, 0.15)


def labels(axes: Axes, best: Sequence[Point]) -> None:
    """Names of the front, above and below in turn, those in the right half to the left of their dots."""
    times = [math.log(seconds) for _, seconds, _ in best]
    middle = (min(times) + max(times)) / 2 if times else 0.0
    for i, (name, seconds, value) in enumerate(best):
        right = math.log(seconds) > middle
        axes.annotate(name, (seconds, value), (-3 if right else 3, 3 if i % 2 == 0 else -7), textcoords="offset points",
                      size=SMALL - 1, color=INK, ha="right" if right else "left")  # fmt: skip
