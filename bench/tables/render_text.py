"""The leaderboard for a terminal."""

from __future__ import annotations

import textwrap

from bench.tables.content import Cell, Content, Line


def leaderboard(content: Content) -> str:
    """Aligned columns, `*` after what is bold elsewhere, then the notes and where the table comes from."""
    header = ["method", *(metric.name + metric.arrow for metric in content.metrics), "T(s)"]
    ranked, controls = ([record(content, line) for line in lines] for lines in (content.ranked, content.controls))
    widths = [max(map(len, column)) for column in zip(header, *ranked, *controls, strict=True)]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    table = [content.title, rule, aligned(header, widths), rule, *(aligned(row, widths) for row in ranked)]
    table += [rule, *(aligned(row, widths) for row in controls)] if controls else []
    lines = [f"{line.method.label}: {line.method.status}: {line.method.reason}" for line in content.unscored]
    lines += ["*" + note.removeprefix("bold") if note.startswith("bold:") else note for note in content.notes]
    lines.append("; ".join(f"{key} {value}" for key, value in content.provenance.items()))
    wrap = textwrap.TextWrapper(max(80, len(rule)), subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join([*table, rule, *map(wrap.fill, lines)])


def record(content: Content, line: Line) -> list[str]:
    cells = [
        content.cell(line, metric) + ("*" if line.cells.get(metric.name, Cell()).best else " ")
        for metric in content.metrics
    ]
    return [line.label, *cells, line.time]


def aligned(row: list[str], widths: list[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip()
