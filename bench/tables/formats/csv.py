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
    """`method`, per metric NAME, NAME_low, NAME_high, NAME_n (and NAME_right, NAME_wrong), then time, status and rank;
    `not_ranked` says why a method has none."""
    names = [metric.name for metric in content.metrics]
    split = [metric.name for metric in content.split]
    header = ["method", *(name + suffix for name in names for suffix in ("", "_low", "_high", "_n"))]
    header += [name + suffix for name in split for suffix in ("_right", "_wrong")]
    header += [fact.column for fact in FACTS]
    return table(header, (record(line, names, split) for line in content.lines + content.unscored))


@table_format("differences.csv")
def differences(content: Content) -> str:
    """Every method minus the reference row, in the table's units."""
    return table([field.name for field in fields(Difference)], (astuple(found) for found in content.differences))


def record(line: Line, names: Sequence[str], split: Sequence[str]) -> list[object]:
    cells = [line.cells.get(name, Cell()) for name in names]
    halves = [line.cells.get(name, Cell()) for name in split]
    return [
        line.method.label,
        *(value for cell in cells for value in (cell.value, cell.low, cell.high, cell.n)),
        *(value for cell in halves for value in (cell.right, cell.wrong)),
        *(fact.value(line) for fact in FACTS),
    ]


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
