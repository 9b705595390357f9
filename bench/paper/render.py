"""A measured paper table as Markdown and text, in the paper's own layout."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from bench.tables.formats import markdown as render_markdown
from bench.tables.paper_tables import PaperTable

SIGNS = ["same", "opposite", "one is 0", "equal"]


@dataclass(frozen=True)
class Report:
    """A table carried out."""

    table: PaperTable
    cells: pd.DataFrame
    """model, method, metric, paper, measured, low, high, difference, why."""
    differences: pd.DataFrame
    ranks: pd.DataFrame
    facts: list[str]

    def mark(self, cell: pd.Series) -> str:
        """`*` beside a printed value that a remark is about."""
        return "*" if any(remark.about(cell.method, cell.metric) for remark in self.table.remarks) else ""

    @property
    def metrics(self) -> list[str]:
        return list(dict.fromkeys(self.cells.metric))

    def agreement(self) -> list[tuple[str, str, str, str]]:
        """Model, metric, signs of the differences from Grad-CAM and rank correlation, as text."""
        found = []
        for row in self.ranks.itertuples():
            own = self.differences[(self.differences.model == row.model) & (self.differences.metric == row.metric)]
            signs = [counted(own[own.sign == sign], sign) for sign in SIGNS if (own.sign == sign).any()]
            spearman = f"{row.spearman:.2f} over {row.n}" if math.isfinite(row.spearman) else ""
            if signs or spearman:
                found.append((row.model, row.metric, ", ".join(signs) or "–", spearman or "–"))
        return found


def counted(differences: pd.DataFrame, sign: str) -> str:
    """`opposite 3 (1 significant)`."""
    significant = int(differences.significant.sum())
    return f"{sign} {len(differences)}" + (f" ({significant} significant)" if sign in ("same", "opposite") else "")


def number(value: float, paper: str, metric: str) -> str:
    """As many decimals as the paper prints, but not fewer than one; times get three digits."""
    if metric == "T":
        return f"{value:.3g}"
    decimals = max(1, len(paper.partition(".")[2]))
    return f"{round(value, decimals) + 0.0:.{decimals}f}"  # + 0.0: no -0.0


def signed(text: str) -> str:
    return text if text.startswith("-") or not float(text) else f"+{text}"


def parts(cell: pd.Series) -> tuple[str, str, str, str]:
    """The printed value, ours, its interval and the difference, `–` for what is not there."""
    paper = cell.paper or "–"
    if pd.isna(cell.measured):
        return paper, "–", "", "–"
    shown = number(cell.measured, cell.paper, cell.metric)
    interval = ""
    if math.isfinite(cell.low) and math.isfinite(cell.high):
        interval = f"[{number(cell.low, cell.paper, cell.metric)}, {number(cell.high, cell.paper, cell.metric)}]"
    if pd.isna(cell.difference):
        return paper, shown, interval, "–"
    return paper, shown, interval, signed(number(cell.difference, paper, cell.metric))


def plain(cell: pd.Series, mark: str = "") -> str:
    paper, measured, interval, difference = parts(cell)
    paper += mark
    return f"{paper} | {' '.join(filter(None, (measured, interval)))} | {difference}"


def notes(report: Report) -> list[str]:
    """The lines under the table: set-up, reasons, provenance."""
    return [
        "each cell: paper | measured [95 % interval over images] | measured - paper",
        f"paper: {report.table.paper}; printed numbers from {report.table.source}",
        *report.table.set_up,
        *remarks(report),
        *reasons(report.cells),
    ]


def remarks(report: Report) -> list[str]:
    return [f"* {remark.method}, {', '.join(remark.metrics)}: {remark.text}" for remark in report.table.remarks]


def reasons(cells: pd.DataFrame) -> list[str]:
    """Every reason once, with the cells that it is about."""
    found = []
    for why, part in cells[cells.why != ""].groupby("why", sort=False):
        rows = []
        for (model, method), own in part.groupby(["model", "method"], sort=False):
            whole = len(own) == len(cells[(cells.model == model) & (cells.method == method)])
            rows.append(f"{model} {method}" + ("" if whole else f" ({', '.join(own.metric)})"))
        found.append(f"{why}: {', '.join(rows)}")
    return found


def layout(
    report: Report,
) -> tuple[list[str], list[tuple[str, str]], list[tuple[list[str], dict[tuple[str, str], pd.Series]]]]:
    """Row headings, columns as (model or "", metric), and per row its headings and its cells by column."""
    by_model = "model" in report.table.columns
    rows: dict[tuple[str, ...], dict[tuple[str, str], pd.Series]] = {}
    columns: dict[tuple[str, str], None] = {}
    for _, cell in report.cells.iterrows():
        column = (cell.model if by_model else "", cell.metric)
        columns[column] = None
        rows.setdefault((cell.method,) if by_model else (cell.model, cell.method), {})[column] = cell
    models = list(dict.fromkeys(model for model, _ in columns))
    ordered = sorted(columns, key=lambda column: (models.index(column[0]), report.metrics.index(column[1])))
    return ["method"] if by_model else ["model", "method"], ordered, [(list(key), cells) for key, cells in rows.items()]


def grid(report: Report, model: str | None = None) -> tuple[list[str], list[list[str]]]:
    """Header and rows of text, of one model where the paper sets models side by side."""
    headings, columns, rows = layout(report)
    shown = [column for column in columns if model in (None, column[0])]
    return [*headings, *(metric for _, metric in shown)], [
        [*key, *(plain(cells[column], report.mark(cells[column])) if column in cells else "" for column in shown)]
        for key, cells in rows
    ]


def sections(report: Report) -> list[str | None]:
    return list(dict.fromkeys(report.cells.model)) if "model" in report.table.columns else [None]


def markdown(report: Report) -> str:
    escape = render_markdown.escape
    pieces = [f"# {escape(report.table.title)}: paper and measured"]
    for model in sections(report):
        header, rows = grid(report, model)
        pieces += [f"## {escape(model)}"] if model else []
        pieces.append(render_markdown.table(header, [[escape(cell) for cell in row] for row in rows]))
    if agreement := report.agreement():
        header = ["model", "metric", "signs of differences from Grad-CAM", "Spearman over methods"]
        pieces += ["## Signs and ranks", render_markdown.table(header, [list(map(escape, row)) for row in agreement])]
    pieces += render_markdown.bullets("Notes", notes(report))
    pieces += render_markdown.bullets("Provenance", report.facts)
    return "\n\n".join(pieces) + "\n"


def agreement_lines(report: Report) -> list[str]:
    return [
        f"{model} {metric}: signs of differences from Grad-CAM: {signs}; Spearman over methods: {spearman}"
        for model, metric, signs, spearman in report.agreement()
    ]


def text(report: Report) -> str:
    """The table for a terminal."""
    pieces = [f"{report.table.title} (paper | measured [interval] | difference)"]
    for model in sections(report):
        header, rows = grid(report, model)
        pieces += [model] if model else []
        pieces.append(pd.DataFrame(rows, columns=header).to_string(index=False))
    notes = [*agreement_lines(report), *remarks(report), *reasons(report.cells), *report.table.set_up]
    return "\n".join([*pieces, *notes])
