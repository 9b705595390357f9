"""The files of a measured paper table, written, and read back where nothing shall be computed."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from bench.core.errors import UsageError
from bench.core.files import write_json, write_text
from bench.paper.agreement import ranks
from bench.paper.latex import STYLES
from bench.paper.render import Report, markdown
from bench.tables.paper_tables import PaperTable

DEFAULT_STYLE = "compare"


def write_files(report: Report, out: Path, style: str | None = None) -> None:
    """NAME.csv, NAME-differences.csv, NAME-facts.json, NAME.md and NAME.tex."""
    name = report.table.name
    write_text(out / f"{name}.csv", report.cells.to_csv(index=False, float_format="%.6g"))
    write_text(out / f"{name}-differences.csv", report.differences.to_csv(index=False, float_format="%.6g"))
    write_json(out / f"{name}-facts.json", {"facts": report.facts})
    write_renderings(report, out, style)


def write_renderings(report: Report, out: Path, style: str | None = None) -> None:
    """What is made from the numbers: NAME.md and NAME.tex."""
    name = report.table.name
    write_text(out / f"{name}.md", markdown(report))
    write_text(out / f"{name}.tex", STYLES[style or DEFAULT_STYLE](report))


def stored_report(table: PaperTable, out: Path) -> Report:
    """The table as a folder has it: needs neither weights nor images. Raises UsageError where it was never measured."""
    file = out / f"{table.name}.csv"
    try:
        cells = pd.read_csv(file, dtype={"paper": str, "why": str}, keep_default_na=True)
        differences = pd.read_csv(out / f"{table.name}-differences.csv")
    except OSError:
        raise UsageError(f"{out} holds no {file.name}; run --table {table.name} without --stored first") from None
    cells = cells.fillna({"paper": "", "why": ""})
    facts = out / f"{table.name}-facts.json"
    known = json.loads(facts.read_text(encoding="utf-8"))["facts"] if facts.is_file() else []
    return Report(table, cells, differences, ranks(cells), known)
