"""Degenerate maps, and the worst of every method."""

from __future__ import annotations

import math
from dataclasses import dataclass

from matplotlib.figure import Figure

from bench.core.metric import Metric
from bench.report.evidence import Evidence
from bench.report.figure import figure
from bench.report.style import INK, PALE, SMALL, WIDTH, new_figure, title
from bench.report.tiles import overlay
from bench.tables.content import number
from bench.tables.short_names import cut

COLUMNS, SHOWN = 6, 18
SIDE, STEP, TOP = 1.08, 1.42, 0.45


@dataclass(frozen=True)
class Failure:
    """A map of which nothing good can be said."""

    method: str
    image: str
    why: str


@figure("failures")
def failures(evidence: Evidence) -> Figure | None:
    """A tile per failure, degenerate maps first."""
    pairs = ((failure, evidence.load(failure.image)) for failure in listed(evidence)[:SHOWN])
    found = [(failure, picture) for failure, picture in pairs if picture is not None]
    if not found:
        return None
    deep = math.ceil(len(found) / COLUMNS)
    drawing = new_figure(WIDTH, TOP + deep * STEP + 0.05)
    title(
        drawing,
        "Failures",
        "degenerate maps, then the worst image of every method against the mean of all methods on it",
    )
    width, height = drawing.get_size_inches()
    for i, (failure, picture) in enumerate(found):
        row, column = divmod(i, COLUMNS)
        x, y = 0.07 + column * (WIDTH - 0.1) / COLUMNS, TOP + row * STEP
        axes = drawing.add_axes((x / width, 1 - (y + SIDE) / height, SIDE / width, SIDE / height))
        axes.set_axis_off()
        saliency = evidence.maps(failure.image, [failure.method]).get(failure.method)
        axes.imshow(picture.pixels if saliency is None else overlay(picture.pixels, saliency), interpolation="nearest")
        for words, gap, size, colour in ((cut(failure.method, 22), 0.04, SMALL, INK), (failure.why, 0.16, 5.0, PALE)):
            drawing.text(x / width, 1 - (y + SIDE + gap) / height, words, size=size, va="top", color=colour)
    return drawing


def listed(evidence: Evidence) -> list[Failure]:
    """Degenerate maps, at most one a method, and each method's worst image."""
    rows = evidence.rows
    degenerate = rows[rows.degenerate.fillna("") != ""].drop_duplicates("method")
    found = [Failure(row.method, row.image, f"{row.degenerate} map") for row in degenerate.itertuples()]
    metric = next((metric for metric in evidence.board.metrics if metric.better != "none" and not metric.pool), None)
    return found + (worst(evidence, metric) if metric else [])


def worst(evidence: Evidence, metric: Metric) -> list[Failure]:
    """By method, the image on which it lies furthest behind the mean of the methods; the furthest first."""
    labels = [line.method.label for line, _ in evidence.board.folded if not line.method.control]
    wide = evidence.rows.pivot(index="image", columns="method", values=metric.name).astype(float)
    wide = wide[[label for label in labels if label in wide]]
    behind = wide.sub(wide.mean(axis=1), axis=0) * (-1 if metric.better == "higher" else 1)
    lowest = sorted(((behind[label].max(), label) for label in behind if behind[label].notna().any()), reverse=True)
    return [
        Failure(label, image, f"{metric.name} {number(metric.scale * wide.loc[image, label], metric)}")
        for gap, label in lowest
        if gap > 0
        for image in [str(behind[label].idxmax())]
    ]
