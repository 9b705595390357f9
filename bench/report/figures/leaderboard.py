"""The leaderboard as a picture."""

from __future__ import annotations

import math
import textwrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from bench.core.metric import Metric
from bench.report.evidence import Evidence
from bench.report.figure import figure
from bench.report.style import BAND, BEST, INK, PALE, SMALL, TEXT, WIDTH, new_figure, plain, title
from bench.tables.content import Cell, Content, Line, number
from bench.tables.panel import FEWEST
from bench.tables.short_names import cut

COLUMNS = 5
TOP, ROW, HEAD, AXIS, BOTTOM = 0.48, 0.135, 0.36, 0.24, 0.2
"""Inches: title, a method, a metric's heading, its axis, the legend."""
NAME, LETTER = 36, 0.044
"""Letters of a line of a name at most, and inches a letter."""
GAP = 0.7
"""Rows between the parts of the table."""

Placed = list[tuple[float, Line, str]]
"""Height in rows, row, name."""


@figure("leaderboard")
def leaderboard(evidence: Evidence) -> Figure | None:
    return draw(evidence.board)


def draw(content: Content) -> Figure | None:
    """A panel per metric, a line per method (equal maps once): dot, interval and value; the confidence set in colour,
    controls grey, and a mark where a control wins."""
    rows, headings = placed(content)
    ranking = [metric for metric in content.metrics if metric.ranks]
    names = [*ranking, *([None] if content.timed else [])]
    if not rows or not names:
        return None
    deep, tall = math.ceil(len(names) / COLUMNS), rows[-1][0] + 1
    columns = math.ceil(len(names) / deep)
    left = 0.15 + LETTER * max(len(part) for _, _, name in rows for part in name.split("\n"))
    block = HEAD + ROW * tall + AXIS
    drawing = new_figure(WIDTH, TOP + deep * block + BOTTOM)
    note = f"protocol {content.protocol.name}, {content.extent}"
    title(drawing, content.subject, note + few(content))
    width, height = drawing.get_size_inches()
    step = (width - left - 0.05) / columns
    for i, metric in enumerate(names):
        row, column = divmod(i, columns)
        upper = TOP + row * block + HEAD
        box = (
            (left + column * step) / width,
            1 - (upper + ROW * tall) / height,
            (step - 0.1) / width,
            ROW * tall / height,
        )
        axes = drawing.add_axes(box)
        prepare(axes, rows, tall)
        if metric is None:
            seconds(axes, rows)
        else:
            measure(axes, content, metric, rows)
        if column == 0:
            label(axes, rows, headings)
    legend(drawing, content)
    return drawing


def few(content: Content) -> str:
    return "; too few images to tell methods apart" if content.images < FEWEST else ""


def placed(content: Content) -> tuple[Placed, dict[float, str]]:
    """Rows from top to bottom with their heights, and the headings of what is not ranked."""
    names = {line.method.label: name for line, name in content.folded}
    rows: Placed = []
    headings: dict[float, str] = {}
    top = 0.0
    for heading, part in content.groups:
        kept = [line for line in part if line.method.label in names]
        if rows and kept:
            top += 1 if heading else GAP
        if kept and heading:
            headings[top - 0.8] = heading
            top += 0.2
        for line in kept:
            rank = f"{line.place}  " if content.placed and line in content.ranked else ""
            rows.append((top, line, wrapped(rank + names[line.method.label])))
            top += 1
    return rows, headings


def wrapped(name: str) -> str:
    """A name on as many lines as it needs, broken between parameters and equal rows."""
    spaced = name.replace(",", ", ").replace("(", "( ")
    lines = textwrap.wrap(spaced, NAME, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace("( ", "(").replace("(\n", "(\n")


def prepare(axes: Axes, rows: Placed, tall: float) -> None:
    plain(axes)
    axes.set_ylim(tall - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    for i, (height, _, _) in enumerate(rows):
        if i % 2 == 0:
            axes.axhspan(height - 0.5, height + 0.5, color=BAND, lw=0, zorder=0)


def measure(axes: Axes, content: Content, metric: Metric, rows: Placed) -> None:
    win = content.wins.get(metric.name)
    heading(axes, f"{metric.name} {metric.arrow}", metric.title, f"won by {win.control}" if win else "")
    ends = []
    for height, line, _ in rows:
        cell = line.cells.get(metric.name, Cell())
        won = win is not None and line.method.label == win.control
        colour = BEST if cell.best else INK if won or not line.method.control else PALE
        if math.isfinite(cell.value):
            dot(axes, cell.value, (cell.low, cell.high), height, colour, "*" if won else "o")
        text(axes, number(cell.value, metric), height, colour, "bold" if cell.best else "normal")
        ends += [x for x in (cell.value, cell.low, cell.high) if math.isfinite(x)]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    reach = high - low or 1.0
    axes.set_xlim(low - 0.06 * reach, high + 0.5 * reach)
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))


def seconds(axes: Axes, rows: Placed) -> None:
    heading(axes, "T (s) ↓", "Seconds per image", "")
    axes.set_xscale("log")
    times = []
    for height, line, _ in rows:
        method, colour = line.method, PALE if line.method.control else INK
        if method.seconds:
            times.append(math.log10(method.seconds))
            dot(axes, method.seconds, (method.seconds_low or math.nan, method.seconds_high or math.nan), height, colour)
        text(axes, line.time, height, colour, "normal")
    reach = max(times) - min(times) + 1.0
    axes.set_xlim(10 ** (min(times) - 0.1 * reach), 10 ** (max(times) + 0.6 * reach))
    axes.xaxis.set_major_locator(LogLocator(numticks=3))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))


def dot(axes: Axes, x: float, ends: tuple[float, float], height: float, colour: str, marker: str = "o") -> None:
    if all(map(math.isfinite, ends)):
        axes.plot(ends, (height, height), color=colour, lw=1.3, alpha=0.5, solid_capstyle="round", zorder=2)
    axes.plot([x], [height], marker, ms=5 if marker == "*" else 2.8, color=colour, mec="white", mew=0.3, zorder=3)


def text(axes: Axes, shown: str, height: float, colour: str, weight: str) -> None:
    axes.text(0.99, height, shown, transform=axes.get_yaxis_transform(), ha="right", va="center", size=SMALL - 0.5,
              color=colour, weight=weight)  # fmt: skip


def heading(axes: Axes, name: str, meaning: str, win: str) -> None:
    def line(words: str, y: float, **style: Any) -> None:
        axes.annotate(words, (0, 1), (1, y), "axes fraction", "offset points", **style)

    line(name, 15, size=TEXT, weight="bold", color=INK)
    line(cut(meaning, 28), 8.5, size=SMALL - 1, color=PALE)
    line(win, 2.5, size=SMALL - 1, color=INK)


def label(axes: Axes, rows: Placed, headings: dict[float, str]) -> None:
    def left(words: str, height: float, size: float, colour: str) -> None:
        axes.annotate(words, (0, height), (-4, 0), axes.get_yaxis_transform(), "offset points", ha="right", va="center",
                      size=size, color=colour, annotation_clip=False)  # fmt: skip

    for height, line, name in rows:
        left(name, height, SMALL - (1.5 if "\n" in name else 0.5), PALE if line.method.control else INK)
    for height, words in headings.items():
        left(cut(words.removeprefix("not ranked: "), NAME + 3), height, SMALL - 1, PALE)


def legend(drawing: Figure, content: Content) -> None:
    best = any(cell.best for line in content.methods for cell in line.cells.values())
    entries = [
        ("●  mean and 95 % interval over images", INK),
        *([("●  95 % confidence set: may be the best", BEST)] if best else []),
        *([("●  controls: know nothing of the network", PALE)] if content.controls else []),
        *([("★  a control that wins the metric", INK)] if content.wins else []),
    ]
    for i, (words, colour) in enumerate(entries):
        drawing.text(0.01 + i * 0.25, 0.06 / drawing.get_figheight(), words, size=SMALL - 0.5, color=colour)
