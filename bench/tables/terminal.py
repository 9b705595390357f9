"""The leaderboard as a terminal shows it: no row is ever wrapped, the narrower the fewer the details."""

from __future__ import annotations

import math
import shutil
import textwrap
from collections.abc import Callable, Iterator, Sequence

from bench.core.errors import UsageError, suggest
from bench.core.metric import Metric
from bench.tables.content import Cell, Content, Line, MethodRow, number
from bench.tables.short_names import short_names

PIPE = 100
"""Columns where there is no terminal."""
HALF, WHOLE = 120, 200
"""Columns from which half widths of the intervals, and the intervals themselves, are shown."""
NAME = 26
"""Letters of a method's name on a narrow terminal."""

Render = Callable[[Cell, Metric], str]


def terminal_width() -> int:
    return shutil.get_terminal_size((PIPE, 24)).columns


def value(cell: Cell, metric: Metric) -> str:
    return number(cell.value, metric)


def half_width(cell: Cell, metric: Metric) -> str:
    """`12.2 ±1.2`: half of the interval."""
    shown = number(cell.value, metric)
    return shown + (f" ±{number((cell.high - cell.low) / 2, metric)}" if math.isfinite(cell.high - cell.low) else "")


def interval(cell: Cell, metric: Metric) -> str:
    """`12.2 [11.0,13.4]`."""
    ends = f" [{number(cell.low, metric)},{number(cell.high, metric)}]" if math.isfinite(cell.low) else ""
    return number(cell.value, metric) + ends


def leaderboard(content: Content, width: int, sort: str | None = None) -> str:
    """Title, table and notes within `width` columns. Metrics that do not fit stand in a second block.

    Under 120 columns values alone, one row for the best control of each metric and rows of equal maps once; under 200
    half widths of the intervals; else intervals. `*` marks the confidence set, `!` a metric that a control wins.
    Raises UsageError where `sort` is no metric of the table.
    """
    render: Render = interval if width >= WHOLE else half_width if width >= HALF else value
    narrow = width < HALF
    groups = [(heading, ordered(content, lines, sort)) for heading, lines in content.groups]
    labels = labels_of(content, narrow, width // 3)
    if narrow:
        kept = {line.method.label for line, _ in content.folded}
        groups = [
            (heading, [line for line in lines if line.method.label in kept])
            for heading, lines in groups
            if lines and not lines[0].method.control
        ]
        if content.controls:
            groups.append(("", [best_control(content)]))
            labels[BEST_CONTROL] = BEST_CONTROL
    pieces = [textwrap.fill(content.title, width)]
    for columns in blocks(content, groups, labels, render, width):
        pieces += block(groups, labels, columns)
    lines = [f"{line.method.label}: {line.method.status}: {line.method.reason}" for line in content.unscored]
    notes = [*lines, *map(marked, content.notes)]
    wrap = textwrap.TextWrapper(width, subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join([*pieces, *map(wrap.fill, notes)])


def marked(note: str) -> str:
    if note.startswith("bold:"):
        return "*" + note.removeprefix("bold")
    return "! " + note if note.startswith("a control wins") else note


BEST_CONTROL = "best control"


def best_control(content: Content) -> Line:
    """A row of the best value that any control has in each metric; controls that see the boxes are left out."""
    rivals = [line for line in content.controls if not line.method.sees_boxes]
    cells = {}
    for metric in content.metrics:
        known = [c for line in rivals if math.isfinite((c := line.cells.get(metric.name, Cell())).value)]
        if known and metric.better != "none":
            pick = max if metric.better == "higher" else min
            cells[metric.name] = pick(known, key=lambda cell: cell.value)
    return Line(MethodRow(BEST_CONTROL, True, "ok"), cells)


def ordered(content: Content, lines: Sequence[Line], sort: str | None) -> list[Line]:
    """Rows by a metric, the best first, those without a value last."""
    if sort is None:
        return list(lines)
    found = next((metric for metric in content.metrics if metric.name == sort), None)
    if found is None:
        raise UsageError(
            f"--sort {sort} is no metric of this table; {suggest(sort, [m.name for m in content.metrics])}"
        )
    sign = -1 if found.better == "higher" else 1

    def key(line: Line) -> tuple[bool, float]:
        own = line.cells.get(found.name, Cell()).value
        return (not math.isfinite(own), sign * own if math.isfinite(own) else 0.0)

    return sorted(lines, key=key)


def labels_of(content: Content, narrow: bool, letters: int) -> dict[str, str]:
    """What each method is called; on a narrow terminal with the number of rows of equal maps."""
    methods = [line.method.label for line in content.lines]
    if not narrow:
        names = short_names([line.label for line in content.lines], [letters] * len(methods))
        return dict(zip(methods, names, strict=True))
    equal = {one.method.label: name.count(" = ") for one, name in content.folded}
    more = [f" (+{equal[method]} equal)" if equal.get(method) else "" for method in methods]
    names = short_names(methods, [NAME - len(words) for words in more])
    return {method: name + words for method, name, words in zip(methods, names, more, strict=True)}


def rank(line: Line, whole: bool) -> str:
    """The place, `whole` with its interval."""
    if line.method.label == BEST_CONTROL or not math.isfinite(line.place.value):
        return ""
    return str(line.place) if whole else f"{line.place.value:.0f}"


Column = tuple[str, Callable[[Line], str]]


def all_columns(content: Content, render: Render) -> Iterator[Column]:
    """Rank, what the explained network says, the time, and what other networks say; a judge of a panel, which the
    panel's column stands for, only where there is room for intervals."""
    starred = any(cell.best for line in content.methods for cell in line.cells.values())
    shown = [metric for metric in content.metrics if metric.ranks or render is interval]
    own, judged = ([metric for metric in shown if bool(metric.judge) == other] for other in (False, True))
    if content.placed:
        yield "rank", lambda line: rank(line, render is not value)
    for metric in own:
        yield column_of(content, metric, render, starred)
    if content.timed:
        yield "T(s)", lambda line: "" if line.method.label == BEST_CONTROL else line.time
    for metric in judged:
        yield column_of(content, metric, render, starred)


def column_of(content: Content, metric: Metric, render: Render, starred: bool) -> Column:
    """A metric's column; `starred` keeps room for the mark of the confidence set."""

    def shown(line: Line) -> str:
        cell = line.cells.get(metric.name, Cell())
        few = f" (n={cell.n})" if 0 < cell.n < line.images else ""
        return render(cell, metric) + few + (("*" if cell.best else " ") if starred else "")

    won = "!" if metric.name in content.wins else ""
    name, _, judge = metric.name.partition(" (")
    room = " " if starred else ""
    return name + metric.arrow + won + room + (f"\n({judge}{room}" if judge else ""), shown


def blocks(
    content: Content, groups: Sequence[tuple[str, list[Line]]], labels: dict[str, str], render: Render, width: int
) -> Iterator[list[tuple[Column, int]]]:
    """The columns of every block, with their widths, so that none is wider than the terminal."""
    rows = [line for _, lines in groups for line in lines]
    first = max([len("method"), *(len(labels[line.method.label]) for line in rows)])
    block: list[tuple[Column, int]] = []
    used = first
    for column in all_columns(content, render):
        own = max([*map(len, column[0].split("\n")), *(len(column[1](line)) for line in rows)])
        if block and used + 2 + own > width:
            yield block
            block, used = [], first
        block.append((column, own))
        used += 2 + own
    if block:
        yield block


def block(
    groups: Sequence[tuple[str, list[Line]]], labels: dict[str, str], columns: Sequence[tuple[Column, int]]
) -> list[str]:
    first = max([len("method"), *(len(labels[line.method.label]) for _, lines in groups for line in lines)])
    rule = "-" * (first + sum(2 + own for _, own in columns))
    pieces = [rule]
    for level in range(1 + max(name.count("\n") for (name, _), _ in columns)):
        names = [[*name.split("\n"), ""][level].rjust(own) for (name, _), own in columns]
        pieces.append("  ".join([("" if level else "method").ljust(first), *names]).rstrip())
    for heading, lines in groups:
        pieces += [rule, *([textwrap.shorten(heading, len(rule), placeholder=" …")] if heading else [])]
        for line in lines:
            cells = [show(line).rjust(own) for (_, show), own in columns]
            pieces.append("  ".join([labels[line.method.label].ljust(first), *cells]).rstrip())
    return [*pieces, rule]
