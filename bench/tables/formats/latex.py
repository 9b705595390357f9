"""The leaderboard as a LaTeX table with booktabs, like the papers'."""

from __future__ import annotations

from collections.abc import Iterable

from bench.tables.content import Cell, Content, Line
from bench.tables.format import table_format

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "≈": r"$\approx$", "≥": r"$\geq$", "≤": r"$\leq$",
    "×": r"$\times$", "·": r"$\cdot$", "→": r"$\to$",
    "†": r"$\dagger$", "Δ": r"$\Delta$", "–": "--", "—": "---", "−": "$-$",
    "++": "{+}{+}", "--": "{-}{-}", "\n": " ",
}  # fmt: skip


@table_format("leaderboard.tex")
def leaderboard(content: Content) -> str:
    """A `table*` environment: caption, booktabs rules, controls under a rule of their own, notes in small print."""
    columns = "l" + "r" * (len(content.header) - 1)
    lines = [
        *(f"% {key}: {' '.join(str(value).split())}" for key, value in content.provenance.items()),
        r"% needs \usepackage{booktabs}",
        r"\begin{table*}",
        r"\centering\small",
        rf"\caption{{{escape(content.title)}.}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        row(map(escape, content.header)),
        *(text for heading, lines in content.groups for text in group(content, heading, lines)),
        r"\bottomrule",
        r"\end{tabular}",
        r"\par\smallskip\begin{minipage}{\linewidth}\footnotesize",
        *(paragraph(note) for note in content.notes),
        *(paragraph(f"{line.method.label}: {line.method.status}: {line.method.reason}") for line in content.unscored),
        r"\end{minipage}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def group(content: Content, heading: str, lines: Iterable[Line]) -> list[str]:
    """A part of the table under a rule of its own; what is not ranked says why, controls need no heading."""
    width = len(content.header)
    told = [rf"\multicolumn{{{width}}}{{l}}{{\footnotesize {escape(heading)}}} \\"] if "not ranked" in heading else []
    return [r"\midrule", *told, *(record(content, line) for line in lines)]


def record(content: Content, line: Line) -> str:
    cells = []
    for metric in content.metrics:
        value, space, interval = content.cell(line, metric).partition(" ")
        value = escape(value)
        shown = rf"\textbf{{{value}}}" if line.cells.get(metric.name, Cell()).best else value
        cells.append(shown + (rf" {{\scriptsize {escape(interval)}}}" if space else ""))
    return row([escape(line.label), *content.framed(line, cells)])


def row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def paragraph(text: str) -> str:
    return escape(text) + r"\par"


def escape(text: str) -> str:
    """Text as LaTeX shows it; `++` and `--` are kept from becoming ligatures."""
    for pair in ("++", "--"):
        if pair in text:
            return SPECIAL[pair].join(map(escape, text.split(pair)))
    return "".join(SPECIAL.get(character, character) for character in text)
