"""Measure a paper's table: whatever is not stored yet, then paper | measured [interval] | difference for every cell."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.core.errors import UsageError, suggest
from bench.core.explainer import EXPLAINERS
from bench.core.metric import METRICS
from bench.core.protocols import protocol
from bench.paper import geometry, interpretability, recognition
from bench.paper.agreement import differences, ranks
from bench.paper.files import stored_report, write_files, write_renderings
from bench.paper.measured import MeasuredRows
from bench.paper.render import Report, text
from bench.run.request import Request
from bench.tables.paper_tables import PaperTable, Row

log = logging.getLogger(__name__)

COLUMNS = ["model", "method", "metric", "paper", "measured", "low", "high", "difference", "why"]


@dataclass(frozen=True)
class TableSelection:
    """What a command asks of a table."""

    request: Callable[[str, Sequence[str], Sequence[str]], Request]
    """(classifier, specs, metrics) to the request that measures them; raises UsageError where something is missing."""
    out: Path
    classifier: str | None = None
    """Only the rows of this classifier."""
    methods: Collection[str] | None = None
    """Only the rows of these explainers, by name."""
    metrics: Collection[str] | None = None
    style: str | None = None
    """Of NAME.tex: `paper` or `compare`."""
    stored: bool = False
    """Whether the table of the folder is written again, without weights or images."""
    boxes: Path | None = None
    """Boxes and sizes without images: only what the boxes alone decide."""


def run_table(table: PaperTable, asked: TableSelection) -> bool:
    """Write NAME.csv, .md, .tex and NAME-differences.csv to `asked.out` and print the table; returns whether some
    method failed. Raises UsageError when nothing can be measured for want of data or weights."""
    check(table, asked)
    if asked.stored and (asked.out / f"{table.name}.csv").is_file():
        report = stored_report(table, asked.out)
        write_renderings(report, asked.out, asked.style)
        print(text(report))
        return False
    why = {row: reason for row in table.rows if (reason := not_measurable(row, asked))}
    labels = {row: label(row) for row in table.rows if row not in why}
    found: dict[Row, MeasuredRows] = {}
    problems: list[UsageError] = []
    for rows in grouped(labels, asked):
        try:
            measured = measure(table, rows, asked)
        except UsageError as problem:
            problems.append(problem)
            why |= dict.fromkeys(rows, str(problem))
            if table.kind == "recognition" and (cells := recognition.sizes(rows[0].classifier or "")):
                found |= dict.fromkeys(rows, MeasuredRows(cells))
        else:
            found |= dict.fromkeys(rows, measured)
    if problems and not found:
        raise problems[0]
    cells = pd.DataFrame(
        [cell for row in table.rows for cell in record(table, row, found.get(row), labels.get(row, ""), why, asked)],
        columns=COLUMNS,
    )
    facts = list(dict.fromkeys(fact for measured in found.values() for fact in measured.facts))
    report = Report(table, cells, differences(table, labels, found), ranks(cells), facts)
    write_files(report, asked.out, asked.style)
    print(text(report))
    return any(measured.failed for measured in found.values())


def check(table: PaperTable, asked: TableSelection) -> None:
    """Refuse a classifier, method or metric that the table does not have."""
    has = {
        "classifier": {row.classifier for row in table.rows if row.classifier},
        "method": {row.spec.partition("(")[0] for row in table.rows if row.spec},
        "metric": {*table.metrics, "T"},
    }
    wanted = {
        "classifier": [asked.classifier] if asked.classifier else [],
        "method": asked.methods or [],
        "metric": asked.metrics or [],
    }
    for kind, names in wanted.items():
        for name in names:
            if name not in has[kind]:
                raise UsageError(f"table {table.name} has no {kind} {name!r}; {suggest(name, sorted(has[kind]))}")


def not_measurable(row: Row, asked: TableSelection) -> str:
    """Why a row is not measured, as far as that is known before anything is loaded."""
    name = row.spec.partition("(")[0] if row.spec else ""
    if asked.classifier not in (None, row.classifier) or (
        name and asked.methods is not None and name not in asked.methods
    ):
        return "not asked for in this run"
    if row.why:
        return row.why
    if name and name not in [entry.name for entry in EXPLAINERS]:
        return f"CAMBench has no explainer {name} yet"
    if asked.boxes and not (row.spec and EXPLAINERS.spec(row.spec).value.blind):
        return "needs images and the network; this run has boxes alone"
    return ""


def label(row: Row) -> str:
    return EXPLAINERS.spec(row.spec).label if row.spec else recognition.NETWORK


def grouped(rows: Collection[Row], asked: TableSelection) -> list[list[Row]]:
    """Rows that are measured together: those of a classifier, or all where no network plays a part."""
    groups: dict[str | None, list[Row]] = {}
    for row in rows:
        groups.setdefault(None if asked.boxes else row.classifier, []).append(row)
    return list(groups.values())


def measure(table: PaperTable, rows: Sequence[Row], asked: TableSelection) -> MeasuredRows:
    """What a group of rows comes to. Raises UsageError for data or weights that are missing."""
    metrics = [name for name in table.metrics if asked.metrics is None or name in asked.metrics]
    specs = list(dict.fromkeys(row.spec for row in rows if row.spec))
    if asked.boxes:
        return geometry.measure(
            asked.boxes,
            [EXPLAINERS.spec(spec) for spec in specs],
            [METRICS[name].value for name in metrics if name != "T"],
            protocol(table.protocol),
        )
    classifier = rows[0].classifier or ""
    if table.kind == "recognition":
        return recognition.measure(asked.request(classifier, [], []))
    return interpretability.measure(asked.request(classifier, specs, metrics))


def record(
    table: PaperTable, row: Row, measured: MeasuredRows | None, name: str, why: dict[Row, str], asked: TableSelection
) -> list[list[object]]:
    """The cells of a printed row, in the order of `COLUMNS`."""
    printed = table.printed[(table.printed.model == row.model) & (table.printed.method == row.method)]
    papers = dict(zip(printed.metric, printed.paper, strict=True))
    if table.extra and measured:
        papers |= {metric: "" for metric in table.extra if metric not in papers}
    records: list[list[object]] = []
    for metric, paper in papers.items():
        cell = measured.cells.get((name, metric)) if measured else None
        if measured is None or cell is None:
            records.append([row.model, row.method, metric, paper, None, None, None, None,
                            reason(table, row, metric, measured, name, why, asked)])  # fmt: skip
            continue
        difference = cell.value - float(paper) if paper else None
        few = f"{cell.n} of {measured.images} images" if 0 < cell.n < measured.images and metric != "T" else ""
        records.append([row.model, row.method, metric, paper, cell.value, cell.low, cell.high, difference, few])
    return records


def reason(
    table: PaperTable,
    row: Row,
    metric: str,
    measured: MeasuredRows | None,
    name: str,
    why: dict[Row, str],
    asked: TableSelection,
) -> str:
    """Why a cell was not measured."""
    if row in why:
        return why[row]
    if metric in table.why:
        return table.why[metric]
    if asked.metrics is not None and metric not in asked.metrics:
        return "not asked for in this run"
    if asked.boxes:
        return "needs images and the network; this run has boxes alone"
    return (measured.why.get(name) if measured else None) or "nothing is stored for it yet"
