"""The leaderboard of a run: ranked methods, controls apart, what was not scored, and the statistics over images."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.core.files import write_atomic
from bench.core.metric import Metric
from bench.core.protocols import Protocol
from bench.tables import notes
from bench.tables.absent import absent
from bench.tables.content import Cell, Content, ControlWin, Line, MethodRow, Place
from bench.tables.format import FORMATS
from bench.tables.formats import text as render_text
from bench.tables.panel import Mask, Panel
from bench.tables.ranking import ranking

__all__ = ["Leaderboard", "MethodRow", "build_leaderboard"]

REFERENCE = "grad-cam"
"""The method that every other one is compared with."""


class Leaderboard(Content):
    """A finished table."""

    def files(self) -> dict[str, bytes]:
        """What a results folder holds of the table, by path; the same scores give the same bytes. A format that has
        nothing to say gives no file."""
        rendered = {entry.name: as_bytes(entry.value(self)) for entry in FORMATS}
        return {name: content for name, content in rendered.items() if content}

    def write(self, folder: Path) -> None:
        """Write every file, all or nothing each."""
        for name, content in self.files().items():
            write_atomic(folder / name, partial(write_bytes, content))

    def text(self) -> str:
        """The table for a terminal."""
        return render_text.leaderboard(self)


def as_bytes(rendered: str | bytes) -> bytes:
    """Text in UTF-8; halves of surrogate pairs, which file names may hold, as escapes."""
    return rendered if isinstance(rendered, bytes) else rendered.encode("utf-8", "backslashreplace")


def write_bytes(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def build_leaderboard(
    rows: Sequence[MethodRow],
    scores: pd.DataFrame,
    metrics: Sequence[Metric],
    protocol: Protocol,
    provenance: Mapping[str, Any],
    seed: int = 0,
) -> Leaderboard:
    """The leaderboard of `rows` from one row of scores per method × image.

    scores: columns method, image, right (boolean or NA), degenerate ("", "constant" or "non-finite"), tied (share of
    the pixels), optionally have (the tags of the metrics that were computed), a float column per metric (unscaled, NaN
    where not computed) and `NAME_vector` for pooled metrics. The
    order of rows, of methods and of images does not matter. Raises ValueError when a method has an image twice.
    """
    done = sorted((row for row in rows if row.status == "ok"), key=lambda row: row.label)
    labels = [row.label for row in done]
    scores = scores[scores.method.isin(labels)]
    panels = [Panel.of(metric, labels, scores, seed) for metric in metrics]
    methods = [row.label for row in done if not row.control]
    order = ranking(panels, methods, held_images(scores, labels))
    leader = leaders(rows, order.reasons)
    contenders = [label for label in methods if leader[label] == label]
    cells = {panel.metric.name: marked(panel, leader, contenders) for panel in panels}
    places = order.places([label for label in contenders if label not in order.reasons])

    def line(row: MethodRow) -> Line:
        place = Place() if row.label in order.reasons else places.get(leader.get(row.label, ""), Place())
        found = {name: by_label[row.label] for name, by_label in cells.items() if row.label in by_label}
        return line_of(row, scores[scores.method == row.label], found, place, order.reasons.get(row.label, ""))

    def rank(line: Line) -> tuple[float, str, bool, str]:
        label, first = line.method.label, leader[line.method.label]
        return (np.nan_to_num(line.place.value), first, first != label, label)

    lines = [line(row) for row in done]
    ranked = sorted((x for x in lines if not x.method.control and not x.not_ranked), key=rank)
    unranked = sorted((x for x in lines if x.not_ranked), key=lambda x: (-x.images, x.not_ranked, *rank(x)))
    reference = leader.get(REFERENCE)
    others = [x.method.label for x in ranked + unranked if x.method.label in contenders]
    others = [label for label in others if label != reference]
    board = Leaderboard(
        metrics=list(metrics),
        protocol=protocol,
        provenance=provenance,
        ranked=ranked,
        unranked=unranked,
        controls=[x for x in lines if x.method.control],
        unscored=[Line(row) for row in sorted(rows, key=lambda row: row.label) if row.status != "ok"],
        differences=[found for panel in panels for found in panel.differences(others, reference)] if reference else [],
        notes=[],
        ranked_by=order.metrics,
        wins=control_wins(panels, done),
        absent=absent(scores, metrics),
    )
    return dataclasses.replace(board, notes=notes.notes(board))


def held_images(scores: pd.DataFrame, labels: Sequence[str]) -> dict[str, Mask]:
    """By label, which of all images (in the order of their ids) the row has."""
    if scores.empty:
        return {label: np.zeros(0, dtype=bool) for label in labels}
    held = scores.pivot(index="image", columns="method", values="degenerate").sort_index().reindex(columns=labels)
    return {label: held[label].notna().to_numpy() for label in labels}


def leaders(rows: Sequence[MethodRow], incomplete: Collection[str]) -> dict[str, str]:
    """The row that stands for each method in ranks and tests: the first one whose maps are the same, and rather one
    that is not `incomplete`."""
    equal = {row.label: row.equal_to for row in rows if row.equal_to}

    def root(label: str) -> str:
        seen = {label}
        while label in equal and equal[label] not in seen:
            seen.add(label := equal[label])
        return label

    groups: dict[str, str] = {}
    found = {}
    for row in sorted(rows, key=lambda row: (row.label in incomplete, root(row.label) != row.label, row.label)):
        if row.status == "ok" and not row.control:
            found[row.label] = groups.setdefault(root(row.label), row.label)
    return found


def marked(panel: Panel, leader: Mapping[str, str], contenders: Sequence[str]) -> dict[str, Cell]:
    """The cells of a metric, with those in the confidence set marked."""
    best = panel.best(contenders)
    return {label: dataclasses.replace(cell, best=leader.get(label) in best) for label, cell in panel.cells().items()}


def control_wins(panels: Sequence[Panel], rows: Sequence[MethodRow]) -> dict[str, ControlWin]:
    """By metric, the control that beats every method; one that sees the boxes wins no metric of them."""
    methods = [row.label for row in rows if not row.control]
    found = {}
    for panel in panels:
        fair = [row.label for row in rows if row.control and not (panel.metric.needs and row.sees_boxes)]
        if win := panel.control_win(methods, fair):
            found[panel.metric.name] = win
    return found


def line_of(row: MethodRow, own: pd.DataFrame, cells: Mapping[str, Cell], place: Place, not_ranked: str) -> Line:
    if own.empty:
        return Line(row, not_ranked=not_ranked)
    own = own.sort_values("image")
    return Line(
        row,
        cells,
        images=len(own),
        right=int((own.right == True).sum()),  # noqa: E712 (NA is neither)
        wrong=int((own.right == False).sum()),  # noqa: E712
        degenerate=100 * float((own.degenerate != "").mean()),
        tied=100 * float(own.tied.mean()),
        place=place,
        not_ranked=not_ranked,
    )
