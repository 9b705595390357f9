"""The leaderboard for a terminal."""

from __future__ import annotations

import textwrap

from bench.tables.content import Cell, Content, Line
from bench.tables.format import table_format


@table_format("leaderboard.txt")
def leaderboard(content: Content) -> str:
    """Aligned columns, `*` after what is bold elsewhere, then the notes and where the table comes from."""
    starred = any(cell.best for line in content.methods for cell in line.cells.values())
    groups = [(heading, [record(content, line, starred) for line in lines]) for heading, lines in content.groups]
    rows = [content.header, *(row for _, rows in groups for row in rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    table = [content.title, rule, aligned(content.header, widths)]
    for heading, rows in groups:
        table += [rule, *([heading] if heading else []), *(aligned(row, widths) for row in rows)]
    lines = [f"{line.method.label}: {line.method.status}: {line.method.reason}" for line in content.unscored]
    lines += ["*" + note.removeprefix("bold") if note.startswith("bold:") else note for note in content.notes]
    lines.append("; ".join(f"{key} {value}" for key, value in content.provenance.items()))
    wrap = textwrap.TextWrapper(max(80, len(rule)), subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join([*table, rule, *map(wrap.fill, lines)])


def record(content: Content, line: Line, starred: bool) -> list[str]:
    stars = ["*" if line.cells.get(metric.name, Cell()).best else " " for metric in content.metrics]
    cells = [content.cell(line, metric).replace(", ", ",") for metric in content.metrics]
    marked = [cell + star for cell, star in zip(cells, stars, strict=True)] if starred else cells
    return [line.label, *content.framed(line, marked)]


def aligned(row: list[str], widths: list[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip()
