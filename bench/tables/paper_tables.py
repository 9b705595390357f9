"""A paper's printed table: its numbers, and what each of its rows is in our terms."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from bench.core.errors import UsageError, suggest

CHECKOUT = Path(__file__).resolve().parents[2] / "results" / "paper"
FOLDER = CHECKOUT if CHECKOUT.is_dir() else Path(__file__).resolve().with_name("printed")
"""The printed tables, which lie beside this module where it was installed."""


@dataclass(frozen=True)
class Row:
    """One printed row: a method on a model."""

    model: str
    """As printed, with the variant where the paper tells networks apart by one."""
    method: str
    classifier: str | None
    spec: str | None
    """The explainer with its parameters; None where a row is about the network itself."""
    why: str = ""
    """Why it cannot be measured, where that is known beforehand."""


@dataclass(frozen=True)
class Remark:
    """What a reader must know about printed cells before comparing them."""

    method: str
    metrics: tuple[str, ...]
    text: str

    def about(self, method: str, metric: str) -> bool:
        return method == self.method and metric in self.metrics


@dataclass(frozen=True)
class PaperTable:
    """A table of `results/paper`: NAME.csv holds the printed numbers, NAME.json the rest."""

    name: str
    title: str
    paper: str
    source: str
    """Where the printed numbers were read."""
    data: str
    protocol: str
    kind: Literal["interpretability", "recognition"]
    columns: tuple[str, ...]
    """What the paper's columns tell apart: metrics, or models and metrics; its rows tell the rest."""
    set_up: tuple[str, ...]
    """Sentences on what differs from the paper's set-up."""
    why: dict[str, str]
    """By metric: why a column cannot be measured."""
    rows: tuple[Row, ...]
    printed: pd.DataFrame
    """model, method, metric, paper (text, as printed), in the paper's order."""
    extra: tuple[str, ...] = ()
    """Metrics that are measured beside the printed ones."""
    remarks: tuple[Remark, ...] = ()

    @property
    def metrics(self) -> list[str]:
        return list(dict.fromkeys([*self.printed.metric, *self.extra]))


def table_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load_table(name: str) -> PaperTable:
    """The table of that name. Raises UsageError for an unknown one, and where the tables were not installed."""
    if not (names := table_names()):
        raise UsageError(f"no paper tables in {FOLDER}; install cambench again")
    if name not in names:
        raise UsageError(f"no paper table {name!r}; {suggest(name, names)}")
    facts: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    rows = tuple(Row(**row) for row in facts.pop("rows"))
    facts["remarks"] = tuple(Remark(method, tuple(metrics), text) for method, metrics, text in facts.get("remarks", ()))
    facts |= {key: tuple(facts.get(key, ())) for key in ("columns", "set_up", "extra")}
    return PaperTable(name=name, rows=rows, printed=pd.read_csv(FOLDER / f"{name}.csv", dtype=str), **facts)


@dataclass(frozen=True)
class Reported:
    """A number as a paper printed it."""

    value: str
    table: str
    paper: str


def reported(
    classifier: str, protocol: str, keys: Mapping[str, str], key_of: Callable[[str], str | None]
) -> dict[tuple[str, str], Reported]:
    """By row of a table and metric, what a paper printed for the same network, method and protocol.

    keys: by the row's label, the explainer with all its parameters; `key_of` gives the same of a paper's row.
    """
    found: dict[tuple[str, str], Reported] = {}
    for table in map(load_table, table_names()):
        if table.protocol != protocol:
            continue
        rows = {(row.model, row.method): row.spec for row in table.rows if row.classifier == classifier and row.spec}
        for printed in table.printed.dropna(subset=["paper"]).itertuples():
            spec = rows.get((printed.model, printed.method))
            for label in (label for label, own in keys.items() if spec and key_of(spec) == own):
                found.setdefault((label, printed.metric), Reported(printed.paper, table.name, table.paper))
    return found
