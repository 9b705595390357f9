"""The page over published runs: methods in rows, networks in columns, ranks in cells; files and command of each run.

    python -m bench.report.published [FOLDER]

reads every `leaderboard.csv` and `run.json` below the folder (default: results/published) and writes its `index.html`,
which needs neither images nor a network.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.core.errors import UsageError
from bench.core.files import write_text
from bench.report.page.render import source

DEFAULT = Path("results/published")
FILES = ("index.html", "leaderboard.md", "leaderboard.csv", "differences.csv", "images.csv", "timing.csv", "run.json",
         "figures/leaderboard.png")  # fmt: skip


@dataclass(frozen=True)
class PublishedRun:
    """A column of the page."""

    folder: str
    """Below the page, with slashes."""
    facts: dict[str, Any]
    ranks: dict[str, str]
    """By method: `1 [1, 3]`, or `–` for one that is scored and not ranked."""
    files: list[str]

    @property
    def study(self) -> str:
        """The study that the run belongs to: the folder above its own, or none."""
        return self.folder.rpartition("/")[0]

    @property
    def title(self) -> str:
        """The run's own folder, less the name of the network that stands over it."""
        name = self.folder.rpartition("/")[2]
        return name.removeprefix(str(self.facts.get("classifier", ""))).lstrip("-") or name

    @property
    def command(self) -> str:
        return str(self.facts.get("command", ""))


def read_run(file: Path, root: Path) -> PublishedRun:
    """A run by its `leaderboard.csv`."""
    table, folder = pd.read_csv(file, dtype=str, keep_default_na=False), file.parent
    about = folder / "run.json"
    facts = json.loads(about.read_text(encoding="utf-8")) if about.is_file() else {}
    scored = table[(table.status == "ok") & (table.control != "true")]
    ranks = {row["method"]: rank(row) for _, row in scored.iterrows()}
    name = folder.relative_to(root).as_posix()
    return PublishedRun(name, facts, ranks, [f"{name}/{own}" for own in FILES if (folder / own).is_file()])


def rank(row: pd.Series[Any]) -> str:
    if not row.get("rank"):
        return "–"
    ends = [row.get("rank_low"), row.get("rank_high")]
    return f"{float(row['rank']):.0f}" + (f" [{float(ends[0]):.0f}, {float(ends[1]):.0f}]" if all(ends) else "")


def published_page(root: Path) -> str:
    """The page's text. Raises UsageError where the folder holds no run."""
    found = [read_run(file, root) for file in sorted(root.rglob("leaderboard.csv")) if "views" not in file.parts]
    if not found:
        raise UsageError(f"{root} holds no leaderboard.csv; name a folder of results")
    studies = sorted({run.study for run in found})
    groups = [(heading(study), *table([run for run in found if run.study == study])) for study in studies]
    environment = Environment(loader=PackageLoader("bench.report", ""), autoescape=True, trim_blocks=True,
                              lstrip_blocks=True, undefined=StrictUndefined)  # fmt: skip
    template = environment.get_template("published.html")
    return template.render(runs=found, groups=groups, css=Markup(source("page.css")))


def heading(study: str) -> str:
    """What stands over the runs of a study, or over those of none."""
    return f"Study: {study.replace('_', ' ')}" if study else "Leaderboards"


def table(runs: list[PublishedRun]) -> tuple[list[PublishedRun], list[str]]:
    """The runs and their methods, those of most runs first."""
    counts = pd.Series([method for run in runs for method in run.ranks]).value_counts()
    return runs, sorted(counts.index, key=lambda method: (-int(counts[method]), method))


def main(arguments: list[str]) -> int:
    root = Path(arguments[0]) if arguments else DEFAULT
    try:
        write_text(root / "index.html", published_page(root))
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(root / "index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
