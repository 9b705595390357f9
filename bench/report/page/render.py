"""`index.html` from evidence: a Jinja2 template, with styles, scripts, data and the chart library inside the file.

The charts are Vega-Lite's, the table is a plain one: nothing is fetched, and a reader without scripts has the numbers.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.core.metric import Metric
from bench.report.evidence import Evidence
from bench.report.page.bibtex import bibtex, papers
from bench.report.page.charts import charts
from bench.report.page.data import payload
from bench.report.page.sentences import findings, headline, warnings
from bench.tables.content import Cell, Content, Line, number
from bench.tables.formats.csv import field
from bench.tables.formats.markdown import spread
from bench.tables.paper_tables import Reported

DOWNLOADS = ("leaderboard.csv", "leaderboard.md", "leaderboard.tex", "differences.csv", "transfer.csv", "images.csv",
             "timing.csv",
             "run.json")  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """A cell of the page's table: the text, the number as the CSV has it, and where its bar lies in the column."""

    text: str
    value: str
    interval: str = ""
    best: bool = False
    dot: float = math.nan
    low: float = math.nan
    high: float = math.nan
    paper: str = ""
    """The value that a paper printed for the same network, method and protocol, with its source."""


def page(evidence: Evidence, title: str | None = None) -> str:
    """The whole page."""
    board = evidence.board
    environment = Environment(loader=PackageLoader("bench.report.page", ""), autoescape=True, trim_blocks=True,
                              lstrip_blocks=True, undefined=StrictUndefined)  # fmt: skip
    return environment.get_template("page.html").render(
        title=title or board.subject, board=board, headline=headline(board), warnings=warnings(board),
        findings=findings(board), groups=groups(evidence), metrics=board.metrics,
        data=as_json(payload(evidence)), charts=as_json(charts(evidence)), vega=Markup(library()),
        css=Markup(source("page.css")), js=Markup(source("page.js")), bibtex=bibtex(papers(board)),
        papers=papers(board), downloads=downloads(board), transfers=transfers(board), confirming=confirming(board),
        judges=board.provenance.get("judges", "other networks"),
    )  # fmt: skip


@cache
def source(name: str) -> str:
    from importlib.resources import files

    return (files("bench.report.page") / name).read_text(encoding="utf-8")


@cache
def library() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub lacks the default
    return bundle.replace("</script", "<\\/script")


def as_json(value: Any) -> Markup:
    """JSON that cannot end the script element which holds it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def groups(evidence: Evidence) -> list[tuple[str, bool, list[tuple[str, Line, list[Shown]]]]]:
    """The parts of the table: heading, whether they are controls, and name, row and cells, equal rows once."""
    board, reported = evidence.board, evidence.reported
    names = {line.method.label: name for line, name in board.folded}
    spans = {metric.name: span(board, metric) for metric in board.metrics}
    found = []
    for heading, lines in board.groups:
        kept = [
            (
                names[line.method.label],
                line,
                [
                    shown(line, metric, spans[metric.name], reported.get((line.method.label, metric.name)))
                    for metric in board.metrics
                ],
            )
            for line in lines
            if line.method.label in names
        ]
        if kept:
            found.append((heading, lines[0].method.control, kept))
    return found


def downloads(board: Content) -> list[str]:
    """The files beside the page."""
    return [name for name in DOWNLOADS if board.confirming or name != "transfer.csv"]


def confirming(board: Content) -> list[tuple[Metric, Metric]]:
    """Each judged metric with the column that confirms it."""
    judged = board.confirming
    return [(metric, judged[metric.name]) for metric in board.metrics if metric.name in judged]


def transfers(board: Content) -> list[tuple[str, list[str]]]:
    """Method by method, own and confirmed differences of each judged metric, with intervals."""
    found = {(one.own.method, one.own.metric): one for one in board.transfers}
    rows = []
    for method in dict.fromkeys(method for method, _ in found):
        cells = []
        for metric, _ in confirming(board):
            one = found.get((method, metric.name))
            cells += [spread(one.own if one else None, metric), spread(one.confirmed if one else None, metric)]
        rows.append((method, cells))
    return rows


def span(board: Content, metric: Metric) -> tuple[float, float]:
    """The least and the largest number of a column, ends of intervals included."""
    cells = [line.cells.get(metric.name, Cell()) for line in board.lines]
    ends = [x for cell in cells for x in (cell.value, cell.low, cell.high) if math.isfinite(x)]
    return (min(ends), max(ends)) if ends else (0.0, 1.0)


def shown(line: Line, metric: Metric, ends: tuple[float, float], printed: Reported | None) -> Shown:
    cell = line.cells.get(metric.name, Cell())
    reach = (ends[1] - ends[0]) or 1.0

    def share(value: float) -> float:
        return round(100 * (value - ends[0]) / reach, 2)

    interval = f"{number(cell.low, metric)} to {number(cell.high, metric)}" if math.isfinite(cell.low) else ""
    return Shown(number(cell.value, metric), field(cell.value), interval, cell.best, share(cell.value), share(cell.low),
                 share(cell.high), f"{printed.paper}: {printed.value}" if printed else "")  # fmt: skip
