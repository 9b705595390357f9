"""What a run prints: the table as the terminal has room for it, or as JSON, and where the results lie."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.core.errors import UsageError, suggest
from bench.core.metric import Metric
from bench.tables.formats import csv as render_csv
from bench.tables.leaderboard import Leaderboard
from bench.tables.terminal import leaderboard, terminal_width


@dataclass(frozen=True)
class View:
    """How a table is printed."""

    full: bool = False
    json: bool = False
    sort: str | None = None

    def check(self, metrics: tuple[Metric, ...]) -> None:
        """Raises UsageError where rows shall stand by a metric that the run does not have."""
        names = [metric.name for metric in metrics]
        if self.sort is not None and self.sort not in names:
            raise UsageError(f"--sort {self.sort} is no metric of this run; {suggest(self.sort, names)}")

    def printed(self, table: Leaderboard) -> str:
        if self.json:
            return as_json(table)
        return table.text() if self.full and not self.sort else leaderboard(table, self.width, self.sort)

    @property
    def width(self) -> int:
        return 10_000 if self.full else terminal_width()


def as_json(table: Leaderboard) -> str:
    """`{"title", "rows", "notes", "provenance"}`: rows as `leaderboard.csv` has them, null for what is not there."""
    rows = pd.read_csv(io.StringIO(render_csv.leaderboard(table)))
    found = {
        "title": table.title,
        "rows": json.loads(rows.to_json(orient="records")),
        "notes": table.notes,
        "provenance": dict(table.provenance),
    }
    return json.dumps(found, indent=1, ensure_ascii=False, default=str)


def closing(place: Path, seconds: float, report: bool) -> str:
    """`results in …: index.html, leaderboard.csv, figures/; 2 min 10 s`."""
    files = ["index.html", "leaderboard.csv", "figures/"] if report else ["leaderboard.csv", "leaderboard.md"]
    return f"results in {place}: {', '.join(files)}; {spoken(seconds)}"


def spoken(seconds: float) -> str:
    """`0.8 s`, `42 s`, `2 min 10 s`, `3 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
