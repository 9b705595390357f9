"""The leaderboard as a Markdown page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from bench.core.metric import Metric
from bench.tables.content import Cell, Content, Difference, Line, number, p_value, signed
from bench.tables.format import table_format


@table_format("leaderboard.md")
def leaderboard(content: Content) -> str:
    """Table, what was not scored, notes, differences, split by right and wrong, provenance."""
    parts = [f"# {escape(content.title)}", *ranking(content), *bullets("Not scored", unscored(content))]
    parts += bullets("Notes", content.notes)
    parts += [*transfer(content), *differences(content), *right_wrong(content), *agreed(content)]
    parts += bullets("Provenance", (f"{key}: {value}" for key, value in content.provenance.items()))
    return "\n\n".join(parts) + "\n"


def ranking(content: Content) -> list[str]:
    blank = [""] * (len(content.header) - 1)
    rows = []
    for heading, lines in content.groups:
        rows += [[f"*{escape(heading)}*", *blank]] if heading else []
        rows += [record(content, line) for line in lines]
    return [table(content.header, rows)]


def record(content: Content, line: Line) -> list[str]:
    cells = [
        f"**{content.cell(line, metric)}**" if line.cells.get(metric.name, Cell()).best else content.cell(line, metric)
        for metric in content.metrics
    ]
    return [escape(line.label), *content.framed(line, cells)]


def unscored(content: Content) -> list[str]:
    return [f"{line.method.label}: {line.method.status}: {line.method.reason}" for line in content.unscored]


def differences(content: Content) -> list[str]:
    """Methods in rows: difference, interval and Holm-adjusted p-value under every metric."""
    found = {(difference.method, difference.metric): difference for difference in content.differences}
    methods = list(dict.fromkeys(difference.method for difference in content.differences))
    shown = [metric for metric in content.metrics if any(metric.name == name for _, name in found)]
    rows = [
        [escape(method), *(contrast(found.get((method, metric.name)), metric) for metric in shown)]
        for method in methods
    ]
    header = ["method", *(metric.name + metric.arrow for metric in shown)]
    return ["## Differences from grad-cam over the same images", table(header, rows)] if rows else []


def transfer(content: Content) -> list[str]:
    """Methods in rows: per metric the own difference from the reference and the one that other networks confirm."""
    found = {(one.own.method, one.own.metric): one for one in content.transfers}
    shown = [metric for metric in content.metrics if metric.name in content.confirming]
    header = ["method"]
    for metric in shown:
        header += [f"{metric.name}{metric.arrow} own", f"{content.confirming[metric.name].name}{metric.arrow}"]
    rows = []
    for method in dict.fromkeys(method for method, _ in found):
        cells = [escape(method)]
        for metric in shown:
            one = found.get((method, metric.name))
            cells += [spread(one.own if one else None, metric), spread(one.confirmed if one else None, metric)]
        rows.append(cells)
    return (
        ["## Transfer: gains over grad-cam, own and confirmed by other networks", table(header, rows)] if rows else []
    )


def agreed(content: Content) -> list[str]:
    """The judges' columns over the images in which they put the explained class first."""
    judged = [metric for metric in content.metrics if metric.judge]
    lines = [line for line in content.lines if any(line.cells.get(m.name, Cell()).agreed_n for m in judged)]
    if not lines:
        return []
    header = ["method", *(metric.name + metric.arrow for metric in judged)]
    rows = []
    for line in lines:
        cells = [(line.cells.get(metric.name, Cell()), metric) for metric in judged]
        shown = [
            f"{number(cell.agreed, metric)} (n={cell.agreed_n})" if cell.agreed_n else "–" for cell, metric in cells
        ]
        rows.append([escape(line.label), *shown])
    return ["## Over images in which the judges put the explained class first", table(header, rows)]


def spread(found: Difference | None, metric: Metric) -> str:
    """A difference and its interval."""
    if found is None:
        return "–"
    ends = f" [{number(found.low, metric)}, {number(found.high, metric)}]" if math.isfinite(found.low) else ""
    return f"{signed(found.difference, metric)}{ends}"


def contrast(found: Difference | None, metric: Metric) -> str:
    return f"{spread(found, metric)}, p {p_value(found.p_holm)}" if found else "–"


def right_wrong(content: Content) -> list[str]:
    lines = [line for line in content.lines if line.right + line.wrong]
    if not content.split or not lines:
        return []
    names = [metric.name + metric.arrow for metric in content.split]
    header = ["method", "n right", *(f"{name} right" for name in names)]
    header += ["n wrong", *(f"{name} wrong" for name in names)]
    return ["## Over rightly and wrongly classified images", table(header, (halves(content, line) for line in lines))]


def halves(content: Content, line: Line) -> list[str]:
    cells = [(line.cells.get(metric.name, Cell()), metric) for metric in content.split]
    return [
        escape(line.label),
        *(str(line.right), *(number(cell.right, metric) for cell, metric in cells)),
        *(str(line.wrong), *(number(cell.wrong, metric) for cell, metric in cells)),
    ]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Left column to the left, the others to the right; cells are expected to be escaped."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in ([escape(name) for name in header], rule, *rows))


def bullets(title: str, items: Iterable[str]) -> list[str]:
    lines = [f"- {escape(item)}" for item in items]
    return [f"## {title}", "\n".join(lines)] if lines else []


def escape(text: str) -> str:
    """So that a label or a reason shows as it is, in a table too: | * _ ` < [ \\ and line ends."""
    for character in "\\|*_`<[":
        text = text.replace(character, "\\" + character)
    return " ".join(text.split())
