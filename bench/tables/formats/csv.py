"""The leaderboard as CSV: every number, six significant digits."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields

from bench.tables.content import Cell, Content, Difference, Line
from bench.tables.facts import FACTS
from bench.tables.format import table_format


@table_format("leaderboard.csv")
def leaderboard(content: Content) -> str:
    """`method`, per metric NAME, NAME_low, NAME_high, NAME_n (and NAME_right, NAME_wrong; of a judge's column
    NAME_agreed, over the NAME_agreed_n images in which the judge puts the explained class first), then time, status and
    rank; `not_ranked` says why a method has none."""
    names = [metric.name for metric in content.metrics]
    split = [metric.name for metric in content.split]
    header = ["method", *(name + suffix for name in names for suffix in ("", "_low", "_high", "_n"))]
    header += [name + suffix for name in split for suffix in ("_right", "_wrong")]
    judged = [metric.name for metric in content.metrics if metric.judge]
    header += [name + suffix for name in judged for suffix in ("_agreed", "_agreed_n")]
    header += [fact.column for fact in FACTS]
    return table(header, (record(line, names, split, judged) for line in content.lines + content.unscored))


@table_format("differences.csv")
def differences(content: Content) -> str:
    """Every method minus the reference row, in the table's units."""
    return table([field.name for field in fields(Difference)], (astuple(found) for found in content.differences))


@table_format("transfer.csv")
def transfer(content: Content) -> str:
    """Every method's own gain over the reference row beside the one that other networks confirm, in the table's units;
    for a metric of which less is better a gain is negative. Nothing without judges."""
    if not content.confirming:
        return ""
    header = [
        "method",
        "metric",
        "own",
        "own_low",
        "own_high",
        "judged_by",
        "confirmed",
        "confirmed_low",
        "confirmed_high",
    ]
    header += ["n"]
    records = (
        [own.method, own.metric, own.difference, own.low, own.high, confirmed.metric, confirmed.difference]
        + [confirmed.low, confirmed.high, confirmed.n]
        for own, confirmed in ((found.own, found.confirmed) for found in content.transfers)
    )
    return table(header, records)


def record(line: Line, names: Sequence[str], split: Sequence[str], judged: Sequence[str]) -> list[object]:
    cells = [line.cells.get(name, Cell()) for name in names]
    halves = [line.cells.get(name, Cell()) for name in split]
    return [
        line.method.label,
        *(value for cell in cells for value in (cell.value, cell.low, cell.high, cell.n)),
        *(value for cell in halves for value in (cell.right, cell.wrong)),
        *(value for cell in map(line.cells.get, judged) for value in seen_by_judge(cell)),
        *(fact.value(line) for fact in FACTS),
    ]


def seen_by_judge(cell: Cell | None) -> tuple[float, int]:
    return (cell.agreed, cell.agreed_n) if cell else (math.nan, 0)


def table(header: Sequence[str], records: Iterable[Sequence[object]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([field(value) for value in record] for record in records)
    return buffer.getvalue()


def field(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value + 0.0:.6g}" if math.isfinite(value) else ""
    return "" if value is None else str(value)
