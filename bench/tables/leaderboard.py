"""The leaderboard of a run: ranked methods, controls apart, what was not scored, and the statistics over images."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from bench.core.metric import Metric
from bench.core.protocols import Protocol
from bench.store import write_text
from bench.tables import figure, notes, render_csv, render_latex, render_markdown, render_text
from bench.tables.content import Cell, Content, Line, MethodRow
from bench.tables.panel import Panel

__all__ = ["Leaderboard", "MethodRow", "build_leaderboard"]

REFERENCE = "grad-cam"
"""The method that every other one is compared with."""


class Leaderboard(Content):
    """A finished table."""

    def write(self, folder: Path) -> None:
        """`leaderboard.csv|md|tex`, `differences.csv` and `figures/leaderboard.png`; the same scores give the same
        bytes."""
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        texts = {
            "leaderboard.csv": render_csv.leaderboard(self),
            "differences.csv": render_csv.differences(self),
            "leaderboard.md": render_markdown.leaderboard(self),
            "leaderboard.tex": render_latex.leaderboard(self),
        }
        for name, text in texts.items():
            write_text(folder / name, text)
        figure.draw(self, folder / "figures" / "leaderboard.png")

    def text(self) -> str:
        """The table for a terminal."""
        return render_text.leaderboard(self)


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
    the pixels), a float column per metric (unscaled, NaN where not computed) and `NAME_vector` for pooled metrics. The
    order of rows, of methods and of images does not matter. Raises ValueError when a method has an image twice.
    """
    done = sorted((row for row in rows if row.status == "ok"), key=lambda row: row.label)
    labels = [row.label for row in done]
    panels = [Panel.of(metric, labels, scores[scores.method.isin(labels)], seed) for metric in metrics]
    cells = {panel.metric.name: panel.cells() for panel in panels}
    leader = leaders(rows)
    ranked = [row for row in done if not row.control]
    contenders = [row.label for row in ranked if leader[row.label] == row.label]
    for panel in panels:
        best = panel.best(contenders)
        cells[panel.metric.name] = {
            label: dataclasses.replace(cell, best=leader.get(label) in best)
            for label, cell in cells[panel.metric.name].items()
        }
    rank = mean_ranks(contenders, [panel.metric for panel in panels if panel.directed], cells)
    ranked.sort(key=lambda row: (rank[leader[row.label]], leader[row.label], leader[row.label] != row.label, row.label))

    reference = leader.get(REFERENCE)
    others = [row.label for row in ranked if row.label in contenders and row.label != reference]
    board = Leaderboard(
        metrics=list(metrics),
        protocol=protocol,
        provenance=provenance,
        ranked=[line(row, scores, cells) for row in ranked],
        controls=[line(row, scores, cells) for row in done if row.control],
        unscored=[Line(row) for row in sorted(rows, key=lambda row: row.label) if row.status != "ok"],
        differences=[found for panel in panels for found in panel.differences(others, reference)] if reference else [],
        notes=[],
    )
    return dataclasses.replace(board, notes=notes.notes(board))


def leaders(rows: Sequence[MethodRow]) -> dict[str, str]:
    """The row that stands for each ranked one in ranks and tests: the first ranked row whose maps are the same."""
    equal = {row.label: row.equal_to for row in rows if row.equal_to}

    def root(label: str) -> str:
        seen = {label}
        while label in equal and equal[label] not in seen:
            seen.add(label := equal[label])
        return label

    groups: dict[str, str] = {}
    found = {}
    for row in sorted(rows, key=lambda row: (root(row.label) != row.label, row.label)):
        if row.status == "ok" and not row.control:
            found[row.label] = groups.setdefault(root(row.label), row.label)
    return found


def mean_ranks(methods: list[str], metrics: list[Metric], cells: Mapping[str, Mapping[str, Cell]]) -> dict[str, float]:
    """Every method's rank, averaged over the metrics that it has and that have a direction; infinite without any."""
    ranks: dict[str, list[float]] = {method: [] for method in methods}
    for metric in metrics:
        having = [method for method in methods if method in cells[metric.name]]
        sign = 1 if metric.better == "lower" else -1
        values = [sign * cells[metric.name][method].value for method in having]
        for method, rank in zip(having, rankdata(values), strict=True):
            ranks[method].append(float(rank))
    return {method: float(np.mean(found)) if found else np.inf for method, found in ranks.items()}


def line(row: MethodRow, scores: pd.DataFrame, cells: Mapping[str, Mapping[str, Cell]]) -> Line:
    own = scores[scores.method == row.label].sort_values("image")
    if own.empty:
        return Line(row)
    return Line(
        row,
        {name: found[row.label] for name, found in cells.items() if row.label in found},
        images=len(own),
        right=int((own.right == True).sum()),  # noqa: E712 (NA is neither)
        wrong=int((own.right == False).sum()),  # noqa: E712
        degenerate=100 * float((own.degenerate != "").mean()),
        tied=100 * float(own.tied.mean()),
    )
