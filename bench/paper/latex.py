r"""A measured paper table in LaTeX, two ways: as the paper prints it, or the paper's numbers above ours.

Both need `\usepackage{booktabs}` alone, keep the text's size and hold the provenance as comments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd

from bench.core.metric import METRICS
from bench.paper.render import Report, layout, notes, number
from bench.tables.formats.latex import escape, row

PER_TABLE = 8
"""Columns of numbers that fit a page at a readable size; more stand in a second table."""


def as_paper(report: Report) -> str:
    """The printed table's own layout with our numbers, one a cell, the best of each column bold."""
    return tables(report, "measured with CAMBench", ours)


def as_comparison(report: Report) -> str:
    """Two rows a method: the paper's numbers above ours."""
    return tables(report, "paper (first line) and measured with CAMBench (second line)", both)


STYLES: dict[str, Callable[[Report], str]] = {"paper": as_paper, "compare": as_comparison}
"""What `--tex` can ask for."""

Cells = dict[tuple[str, str], "pd.Series[Any]"]
Column = tuple[str, str]


def tables(report: Report, what: str, body: Callable[[list[str], Cells, Sequence[Column], Best], Iterable[str]]) -> str:
    """A `table*` for every PER_TABLE columns; those of one model stay together."""
    headings, columns, rows = layout(report)
    best = best_of(report)
    lines = [f"% {line}" for fact in (*notes(report), *report.facts) for line in fact.splitlines()]
    lines.append(r"% needs \usepackage{booktabs}")
    for part in parts(columns):
        lines += [
            r"\begin{table*}[tbp]",
            r"\centering\small",
            rf"\caption{{{escape(report.table.title)}: {what}.}}",
            rf"\begin{{tabular}}{{{'l' * len(headings)}{'r' * len(part)}}}",
            r"\toprule",
            *heads(headings, part),
            r"\midrule",
            *(
                line
                for names, cells in rows
                if any(c in cells for c in part)
                for line in body(names, cells, part, best)
            ),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table*}",
        ]
    return "\n".join(lines) + "\n"


def parts(columns: Sequence[Column]) -> list[list[Column]]:
    """The columns in groups of at most PER_TABLE, split between models where that is possible."""
    groups: list[list[Column]] = [[]]
    for model in dict.fromkeys(model for model, _ in columns):
        own = [column for column in columns if column[0] == model]
        if groups[-1] and len(groups[-1]) + len(own) > PER_TABLE:
            groups.append([])
        for column in own:
            if len(groups[-1]) == PER_TABLE:
                groups.append([])
            groups[-1].append(column)
    return groups


def heads(headings: Sequence[str], part: Sequence[Column]) -> list[str]:
    """Models over their columns, where the paper has them side by side, and the metrics with their arrows."""
    models = [model for model in dict.fromkeys(model for model, _ in part) if model]
    spans, rules, start = [], [], len(headings) + 1
    for model in models:
        width = sum(own == model for own, _ in part)
        spans.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(model)}}}")
        rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    over = [row([*[""] * len(headings), *spans]), "".join(rules)] if models else []
    return [*over, row([*map(escape, headings), *(escape(metric + arrow(metric)) for _, metric in part)])]


def arrow(metric: str) -> str:
    return METRICS[metric].value.arrow if metric in METRICS else ""


Best = dict[tuple[str, str], float]


def best_of(report: Report) -> Best:
    """By model and metric the best measured value, for metrics with a direction."""
    found: Best = {}
    known = report.cells.dropna(subset=["measured"])
    for (model, metric), part in known.groupby(["model", "metric"], sort=False):
        better = METRICS[metric].value.better if metric in METRICS else "none"
        if better != "none" and len(part) > 1:
            found[(model, metric)] = part.measured.max() if better == "higher" else part.measured.min()
    return found


def ours(names: list[str], cells: Cells, part: Sequence[Column], best: Best) -> list[str]:
    return [row([*map(escape, names), *(measured(cells.get(column), best) for column in part)])]


def both(names: list[str], cells: Cells, part: Sequence[Column], best: Best) -> list[str]:
    printed = [escape(cells[column].paper or "–") if column in cells else "" for column in part]
    return [
        row([*map(escape, names), *printed]),
        row([*[""] * len(names), *(measured(cells.get(column), best) for column in part)]) + r"[2pt]",
    ]


def measured(cell: pd.Series[Any] | None, best: Best) -> str:
    """Our number, bold where no method of the model has a better one."""
    if cell is None:
        return ""
    if pd.isna(cell.measured):
        return "--"
    text = escape(number(cell.measured, cell.paper, cell.metric))
    winner = best.get((cell.model, cell.metric), math.nan)
    return rf"\textbf{{{text}}}" if math.isclose(cell.measured, winner) else text
