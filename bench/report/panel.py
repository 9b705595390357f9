"""One photograph beside its maps: a column per method, a row per class or layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.core.metric import Metric
from bench.report.evidence import Evidence, Map, Picture
from bench.report.region import Boxes, best_overlap, threshold_box
from bench.report.style import COLOURS, DIVERGING, INK, PALE, RULE, SMALL, TEXT, WIDTH, new_figure, title
from bench.report.tiles import SEQUENTIAL, overlay
from bench.tables.content import number
from bench.tables.short_names import cut

MOST = 5
"""Methods beside each other; further ones stand below."""
LARGEST = 1.6
"""Inches: side of a tile."""
BAR, LEFT, GAP = 0.5, 0.07, 0.07
HEAD, FOOT, NAME, CAPTION = 0.4, 0.06, 0.17, 0.3
"""Inches: the title, the lower edge, a column's name, the lines under a tile."""
LETTER = 0.0072
"""Inches: width of a small letter, for each point of its size."""
SHOWN = ("AD", "I")


@dataclass(frozen=True)
class Tile:
    """Where the maps of a row of the table stand."""

    method: str
    """The row's label."""
    column: str
    row: tuple[str, str]
    """Class and layer, as the command names them; a layer of "" is not told."""


def draw_panel(
    evidence: Evidence, image: str, tiles: Sequence[Tile], heading: str, box: float | None, signed: bool = False
) -> Figure:
    """The image as the network saw it and its scored maps, all on one scale, with two values under each. `box` is the
    share of a map's maximum at which a box is drawn around its largest part. `signed` shows the maps as they were
    returned, what speaks against the class in purple."""
    picture, maps = evidence.load(image), evidence.signed_maps(image) if signed else evidence.maps(image)
    bands = [(band, rows_of(tiles, band)) for band in parts(list(dict.fromkeys(tile.column for tile in tiles)))]
    across = 1 + max(len(columns) for columns, _ in bands)
    side = min(LARGEST, (WIDTH - LEFT - BAR) / across - GAP)
    width, step = LEFT + across * (side + GAP) + BAR, side + CAPTION
    note = top_classes(evidence, image)
    foot = FOOT + (0.12 if box is not None else 0)
    height = HEAD + sum(NAME + len(rows) * step for _, rows in bands) + foot
    figure = new_figure(max(width, 3.2), height)
    width = figure.get_figwidth()
    title(figure, cut(heading, int(width / LETTER / 8.5)), cut(note, int(width / LETTER / SMALL)))

    def place(down: float, across: int) -> Axes:
        corner = (LEFT + across * (side + GAP), height - down - side, side, side)
        axes = figure.add_axes((corner[0] / width, corner[1] / height, corner[2] / width, corner[3] / height))
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        return axes

    letters = int(side / LETTER / TEXT)
    start = HEAD
    for band, rows in bands:
        start += NAME
        for down, row in enumerate(rows):
            of_row = {tile.column: tile.method for tile in tiles if tile.row == row}
            axes = place(start + down * step, 0)
            name(axes, "image" if down == 0 else "", letters)
            draw_image(axes, picture)
            captions(axes, explained(evidence, image, list(of_row.values()), row), letters)
            for across, column in enumerate(band, 1):
                axes = place(start + down * step, across)
                name(axes, column if down == 0 else "", letters)
                if column not in of_row:
                    axes.set_visible(False)
                    continue
                draw_map(axes, evidence, image, of_row[column], maps.get(of_row[column]), picture, box, signed)
        scale_bar(figure, signed, (1 - (BAR - 0.08) / width, 1 - (start + side) / height, 0.08 / width, side / height))
        start += len(rows) * step
    if box is not None:
        text = f"solid: around the largest part of the map that is at least {box:g} of its maximum"
        true = picture is not None and picture.boxes is not None and len(picture.boxes)
        figure.text(0.01, 0.06 / height, text + ("; dashed: the true box" if true else ""), size=SMALL, color=PALE)
    return figure


def rows_of(tiles: Sequence[Tile], columns: Sequence[str]) -> list[tuple[str, str]]:
    """The rows that have a tile in one of the columns, class by class."""
    here = [tile.row for tile in tiles if tile.column in columns]
    classes, layers = (list(dict.fromkeys(tile.row[i] for tile in tiles)) for i in (0, 1))
    return sorted(dict.fromkeys(here), key=lambda row: (classes.index(row[0]), layers.index(row[1])))


def parts(columns: list[str]) -> list[list[str]]:
    """The columns in bands of at most MOST, as even as can be."""
    count = -(-len(columns) // MOST)
    size = -(-len(columns) // count)
    return [columns[start : start + size] for start in range(0, len(columns), size)]


def top_classes(evidence: Evidence, image: str) -> str:
    return "   ".join(f"{short(evidence, index)} {100 * p:.1f} %" for index, p in evidence.top(image, 3))


def short(evidence: Evidence, index: int) -> str:
    """The first name of a class."""
    first = evidence.classes[index].split(",")[0] if index < len(evidence.classes) else str(index)
    return f"class {first}" if first.isdecimal() else first


def explained(evidence: Evidence, image: str, methods: Sequence[str], row: tuple[str, str]) -> list[str]:
    """The class that a row of tiles explains, with its probability, and the layer."""
    found = next((r for r in (evidence.row(method, image) for method in methods) if r is not None), None)
    told = [] if found is None else [f"{short(evidence, int(found.target))} {100 * found.p:.1f} %"]
    return [*told, *([row[1]] if row[1] else [])]


def draw_image(axes: Axes, picture: Picture | None) -> None:
    if picture is None:
        missing(axes, "the file is gone")
        return
    axes.imshow(picture.pixels, interpolation="nearest")
    draw_true(axes, picture)


def draw_map(
    axes: Axes, evidence: Evidence, image: str, method: str, saliency: Map | None, picture: Picture | None,
    box: float | None, signed: bool,
) -> None:  # fmt: skip
    row = evidence.row(method, image)
    if saliency is None or picture is None or row is None:
        missing(axes, "no map is stored")
        return
    axes.imshow(overlay(picture.pixels, saliency, signed), interpolation="nearest")
    lines = ["   ".join(f"{m.name} {number(m.scale * row[m.name], m)}" for m in shown(evidence))]
    if row.degenerate:
        lines.append(f"{row.degenerate} map")
    elif box is not None:
        found = threshold_box(saliency, box)
        draw_true(axes, picture)
        outline(axes, found, COLOURS[4], "-")
        if picture.boxes is not None and len(picture.boxes):
            lines.append(f"IoU {best_overlap(found, picture.boxes, evidence.size):.2f}")
    captions(axes, lines, 99)


def shown(evidence: Evidence) -> list[Metric]:
    """AD and I where they were asked for, else the first two metrics."""
    asked = list(evidence.board.metrics)
    return [metric for metric in asked if metric.name in SHOWN] or asked[:2]


def draw_true(axes: Axes, picture: Picture) -> None:
    for box in picture.boxes if picture.boxes is not None else ():
        outline(axes, box, "white", (0, (3, 2)))


def outline(axes: Axes, box: Boxes | None, colour: str, line: str | tuple[int, tuple[int, int]]) -> None:
    """A box with exclusive ends; a thin dark line under it keeps it visible on any ground."""
    if box is None:
        return
    x0, y0, x1, y1 = box
    for edge, thick, style in (("black", 1.6, "-"), (colour, 0.9, line)):
        axes.add_patch(
            Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, ec=edge, lw=thick, ls=style, clip_on=True)
        )


def name(axes: Axes, text: str, letters: int) -> None:
    axes.set_title(cut(text, letters), size=TEXT, color=INK, pad=2.5)


def captions(axes: Axes, lines: Sequence[str], letters: int) -> None:
    for place, line in enumerate(lines):
        axes.annotate(cut(line, letters), (0.5, 0), (0, -2 - 8 * place), "axes fraction", "offset points",
                      ha="center", va="top", size=SMALL, color=INK, annotation_clip=False)  # fmt: skip


def missing(axes: Axes, text: str) -> None:
    axes.set_facecolor(RULE)
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", size=SMALL, color=INK)


def scale_bar(figure: Figure, signed: bool, corner: tuple[float, float, float, float]) -> None:
    axes = figure.add_axes(corner)
    low, colours = (-1, DIVERGING) if signed else (0, SEQUENTIAL)
    scale = ScalarMappable(Normalize(low, 1), colours)
    bar = figure.colorbar(scale, cax=axes, ticks=[low, (low + 1) / 2, 1])
    bar.outline.set_visible(False)
    axes.tick_params(labelsize=SMALL, colors=PALE, labelcolor=INK, length=2, width=0.5, pad=1.5)


def panel_values(evidence: Evidence, image: str, methods: Sequence[str], box: float) -> pd.DataFrame:
    """The boxes that a panel draws, a row per method: x0, y0, x1, y1 in pixels of the network's image, ends exclusive,
    and IoU with the best true box where one is known."""
    picture, maps = evidence.load(image), evidence.maps(image, methods)
    truth = None if picture is None or picture.boxes is None or not len(picture.boxes) else picture.boxes
    found = {}
    for method, saliency in maps.items():
        own = threshold_box(saliency, box)
        corners = [float("nan")] * 4 if own is None else own.tolist()
        overlap = {} if truth is None else {"IoU": best_overlap(own, truth, evidence.size)}
        found[method] = dict(zip(("x0", "y0", "x1", "y1"), corners, strict=True)) | overlap
    return pd.DataFrame.from_dict(found, orient="index")
