"""Maps of every method on a few images: a row a method, a column an image, one scale for all."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from bench.report.evidence import Evidence, Map, Pixels
from bench.report.figure import figure
from bench.report.style import DIVERGING, INK, PALE, SMALL, WIDTH, new_figure, title
from bench.report.tiles import SEQUENTIAL, overlay

ONE_BLOCK = 10
"""Methods that stand below each other; more stand in two blocks side by side."""
LABEL, GAP, TOP, HEAD, BOTTOM = 0.92, 0.14, 0.42, 0.32, 0.42
LARGEST = 0.95
"""Inches of a tile at most."""


@figure("maps")
def maps(evidence: Evidence) -> Figure | None:
    """The maps as they were scored: in [0, 1], over the grey image."""
    found = {image: evidence.maps(image) for image in evidence.shown}
    note = "the maps that were scored, in [0, 1]; " + sized(evidence)
    return grid(evidence, found, False, "Saliency maps", note)


@figure("maps-signed")
def signed_maps(evidence: Evidence) -> Figure | None:
    """Maps that fall below zero somewhere, as their methods returned them; only the part above zero is scored."""
    found = {image: evidence.signed_maps(image) for image in evidence.shown}
    note = "as the methods returned them, on the scale of the 99th percentile of their magnitude"
    return grid(evidence, found, True, "Signed saliency maps", note)


def wrapped(name: str) -> str:
    """A method's name on several lines, broken where its parameters begin."""
    parts = name.replace("(", " (").replace(",", ", ")
    return "\n".join(textwrap.wrap(parts, 17, break_long_words=False, break_on_hyphens=False))


def sized(evidence: Evidence) -> str:
    return f"{evidence.board.subject}, protocol {evidence.board.protocol.name}"


def grid(
    evidence: Evidence, found: Mapping[str, Mapping[str, Map]], signed: bool, heading: str, note: str
) -> Figure | None:
    """Methods (equal ones once) × images; None where no image or no map is left."""
    pictures = {image: picture for image in found if (picture := evidence.load(image)) is not None}
    drawn = {method for image in pictures for method in found[image]}
    rows = [(line.method.label, names) for line, names in evidence.board.folded if line.method.label in drawn]
    if not pictures or not rows:
        return None
    blocks = 1 if len(rows) <= ONE_BLOCK else 2
    deep = math.ceil(len(rows) / blocks)
    wide = WIDTH / blocks - LABEL - GAP
    side = min(LARGEST, wide / len(pictures))
    height = TOP + HEAD + (deep + 1) * side + BOTTOM
    drawing = new_figure(blocks * (LABEL + GAP + side * len(pictures)), height)
    title(drawing, heading, note)
    place = placed(drawing, side)
    for block in range(blocks):
        left = GAP / 2 + block * (LABEL + GAP + side * len(pictures))
        for i, (image, picture) in enumerate(pictures.items()):
            x = left + LABEL + i * side
            axes = place(x, TOP + HEAD)
            axes.imshow(picture.pixels, interpolation="nearest")
            axes.set_title(explained(evidence, image), size=SMALL - 1, color=INK, pad=2)
            for j, (label, _) in enumerate(rows[block * deep : (block + 1) * deep], 1):
                tile(place(x, TOP + HEAD + j * side), picture.pixels, found[image].get(label), signed)
        for j, (_, name) in enumerate(rows[block * deep : (block + 1) * deep], 1):
            y = 1 - (TOP + HEAD + (j + 0.5) * side) / height
            x = (left + LABEL - 0.05) / drawing.get_figwidth()
            drawing.text(x, y, wrapped(name), ha="right", va="center", size=SMALL, color=INK)
    colour_bar(drawing, DIVERGING if signed else SEQUENTIAL, -1 if signed else 0)
    return drawing


def placed(drawing: Figure, side: float) -> Callable[[float, float], Axes]:
    """Square axes by their left and upper edge in inches."""
    width, height = drawing.get_size_inches()
    edge = 0.97 * side

    def place(x: float, y: float) -> Axes:
        axes = drawing.add_axes((x / width, 1 - (y + edge) / height, edge / width, edge / height))
        axes.set_axis_off()
        return axes

    return place


def tile(axes: Axes, pixels: Pixels, saliency: Map | None, signed: bool) -> None:
    if saliency is None:
        axes.text(0.5, 0.5, "not kept", ha="center", va="center", size=SMALL - 1, color=PALE)
    else:
        axes.imshow(overlay(pixels, saliency, signed), interpolation="nearest")


def explained(evidence: Evidence, image: str) -> str:
    """The explained class, with its probability."""
    rows = evidence.rows[evidence.rows.image == image]
    targets = rows.target.dropna().astype(int).unique()
    names = sorted({evidence.class_name(int(target)) for target in targets})
    p = f"\n{float(np.nanmean(rows.p.astype(float))):.2f}" if len(names) == 1 else ""
    return "\n".join(textwrap.wrap(" / ".join(names), 14)[:2]) + p


def colour_bar(drawing: Figure, colours: Colormap, low: Sequence[float] | float) -> None:
    """One bar for all tiles."""
    width, height = drawing.get_size_inches()
    axes = drawing.add_axes(((width - 2.6) / 2 / width, 0.24 / height, 2.6 / width, 0.08 / height))
    bar = drawing.colorbar(ScalarMappable(Normalize(float(np.min(low)), 1), colours), axes, orientation="horizontal")
    bar.outline.set_visible(False)
    axes.tick_params(labelsize=SMALL - 1, length=2, width=0.5, pad=1, labelcolor=INK)
