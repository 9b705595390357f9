"""The leaderboard as a picture."""

from __future__ import annotations

import io
import math
import textwrap
from pathlib import Path
from typing import BinaryIO

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from bench.core.metric import Metric
from bench.tables.content import Cell, Content, Line, number
from bench.tables.format import table_format
from bench.tables.panel import FEWEST

INK, PALE, BEST, RULE, BAND = "#1f2d3d", "#7f8b98", "#c8510a", "#d5dae0", "#f5f7f9"
WORDS = 30  # letters of a metric's title that fit over its column
ROW, TOP, BOTTOM = 0.36, 1.15, 0.75  # inches: a method, title and headings, axis and legend
GAP = 0.7  # rows between methods and controls
SMALL = 0.8  # a letter of a heading to a letter of a name


@table_format("figures/leaderboard.png")
def png(content: Content) -> bytes:
    """The picture as a PNG file."""
    buffer = io.BytesIO()
    draw(content, buffer)
    return buffer.getvalue()


def draw(content: Content, file: Path | BinaryIO) -> None:
    """A panel per metric, a line per method: dot, interval and value; confidence set in colour, controls in grey."""
    lines, heights, headings = content.lines, list[float](), dict[float, str]()
    for i, (heading, part) in enumerate(content.groups):
        top = len(heights) + GAP * (i + 1 if told(content.groups[0][0]) else i)
        headings |= {top - (1 + GAP) / 2: heading} if told(heading) else {}
        heights += [top + place for place in range(len(part))]
    rows = max(1.0, heights[-1] + 1 if heights else 0.0)
    names = max([0.0, *(len(shown(line, content)) for line in lines), *(SMALL * len(x) for x in headings.values())])
    panels, labels = len(content.metrics) + content.timed, 0.45 + 0.088 * names
    width, height = max(16.0, labels + 2.0 * panels), TOP + ROW * rows + BOTTOM
    figure = Figure(figsize=(width, height), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.2 / width, 1 - 0.16 / height, content.subject, va="top", size=15, weight="bold", color=INK)
    facts = f"protocol {content.protocol.name}  ·  {content.extent}"
    facts += "  ·  too few to tell methods apart" if content.images < FEWEST else ""
    figure.text(0.2 / width, 1 - 0.46 / height, facts, va="top", size=11, color=INK)
    step = (width - labels - 0.1) / max(1, panels)
    for i in range(panels):
        box = ((labels + i * step) / width, BOTTOM / height, (step - 0.18) / width, ROW * rows / height)
        axes = figure.add_axes(box)
        prepare(axes, heights, rows)
        if i < len(content.metrics):
            measure(axes, content, content.metrics[i], lines, heights)
        else:
            seconds(axes, lines, heights)
        if i == 0:
            name(axes, [shown(line, content) for line in lines], lines, heights)
            for place, text in headings.items():
                axes.annotate(text, (0, place), (-8, 0), axes.get_yaxis_transform(), "offset points", ha="right",
                              va="center", size=8.5, color=PALE, annotation_clip=False)  # fmt: skip
    legend(figure, content, width, height)
    figure.savefig(file, format="png", metadata={"Software": None})


def prepare(axes: Axes, heights: list[float], rows: float) -> None:
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_yticks([])
    axes.tick_params(axis="x", colors=PALE, labelcolor=INK, labelsize=9, length=3)
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    for i, height in enumerate(heights):
        if i % 2 == 0:
            axes.axhspan(height - 0.5, height + 0.5, color=BAND, lw=0, zorder=0)


def measure(axes: Axes, content: Content, metric: Metric, lines: list[Line], heights: list[float]) -> None:
    win = content.wins.get(metric.name)
    heading(axes, f"{metric.name} {metric.arrow}", f"won by {win.control}" if win else metric.title)
    cells = [line.cells.get(metric.name, Cell()) for line in lines]
    for line, cell, height in zip(lines, cells, heights, strict=True):
        colour = BEST if cell.best else PALE if line.method.control else INK
        if math.isfinite(cell.value):
            dot(axes, cell.value, (cell.low, cell.high), height, colour)
        weight = "bold" if cell.best else "normal"
        value(axes, number(cell.value, metric), height, colour, weight)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    room(axes, [x for cell in cells for x in (cell.value, cell.low, cell.high) if math.isfinite(x)])


def seconds(axes: Axes, lines: list[Line], heights: list[float]) -> None:
    heading(axes, "T (s)", "seconds per image")
    times = [line.method.seconds or math.nan for line in lines]
    axes.set_xscale("log")
    for line, time, height in zip(lines, times, heights, strict=True):
        colour = PALE if line.method.control else INK
        if math.isfinite(time):
            low, high = line.method.seconds_low, line.method.seconds_high
            dot(axes, time, (low or math.nan, high or math.nan), height, colour)
        value(axes, line.time, height, colour, "normal")
    axes.xaxis.set_major_locator(LogLocator(numticks=4))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    known = [math.log10(time) for time in times if math.isfinite(time)] or [0.0]
    reach = max(known) - min(known) + 1.0
    axes.set_xlim(10 ** (min(known) - 0.15 * reach), 10 ** (max(known) + 0.5 * reach))


def room(axes: Axes, values: list[float]) -> None:
    """Limits that leave the right third to the printed values."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    reach = high - low or 1.0
    axes.set_xlim(low - 0.06 * reach, high + 0.42 * reach)


def dot(axes: Axes, x: float, ends: tuple[float, float], height: float, colour: str) -> None:
    if all(map(math.isfinite, ends)):
        axes.plot(ends, (height, height), color=colour, lw=2.2, alpha=0.55, solid_capstyle="round", zorder=2)
    axes.plot([x], [height], "o", ms=5.5, color=colour, mec="white", mew=0.7, zorder=3)


def value(axes: Axes, text: str, height: float, colour: str, weight: str) -> None:
    axes.text(0.985, height, text, transform=axes.get_yaxis_transform(), ha="right", va="center", size=9.5,
              color=colour, weight=weight)  # fmt: skip


def heading(axes: Axes, text: str, title: str) -> None:
    axes.annotate(text, (0, 1), (2, 18), "axes fraction", "offset points", size=12, weight="bold", color=INK)
    axes.annotate(
        textwrap.shorten(title, WORDS, placeholder=" …"),
        (0, 1),
        (2, 6),
        "axes fraction",
        "offset points",
        size=8.5,
        color=PALE,
    )


def shown(line: Line, content: Content) -> str:
    """The rank and the label, with the number of images where a control has fewer than the others."""
    rank = f"{line.place}   " if content.placed and line in content.ranked else ""
    return rank + line.label + (f" (n={line.images})" if line.images < content.images else "")


def told(heading: str) -> bool:
    """Whether a part's heading is written out; controls are known by their colour."""
    return heading.startswith("not ranked")


def name(axes: Axes, names: list[str], lines: list[Line], heights: list[float]) -> None:
    for text, line, height in zip(names, lines, heights, strict=True):
        colour = PALE if line.method.control else INK
        axes.annotate(text, (0, height), (-8, 0), axes.get_yaxis_transform(), "offset points", ha="right", va="center",
                      size=10.5, color=colour, annotation_clip=False)  # fmt: skip


def legend(figure: Figure, content: Content, width: float, height: float) -> None:
    best = any(cell.best for line in content.methods for cell in line.cells.values())
    entries = [
        ("dot and line: mean and 95 % interval over images", INK),
        *([("95 % model confidence set: may be the best", BEST)] if best else []),
        *([("controls: know nothing of the classifier", PALE)] if content.controls else []),
    ]
    x = 0.2
    for text, colour in entries:
        figure.text(x / width, 0.12 / height, f"●  {text}", size=9.5, color=colour)
        x += 0.5 + 0.075 * len(text)
