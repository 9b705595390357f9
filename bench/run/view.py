"""Where a table is written: a view of a run never takes the place of a fuller table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.core.seeds import content_hash
from bench.run.folders import facts_of, folder

SUBJECT = ("classifier", "target layer", "weights sha256", "normalisation", "output", "judge weights sha256", "data",
           "protocol", "seed", "dtype", "scored in")  # fmt: skip
"""Provenance that two tables of the same thing share."""
NAMED = 3
"""So many methods or metrics are named in the name of a view, more are counted."""


@dataclass(frozen=True)
class Extent:
    """What a table holds."""

    subject: Mapping[str, str]
    cells: frozenset[tuple[str, str]]
    """Methods and metrics that have a value."""
    images: frozenset[tuple[str, str]] = frozenset()
    """Ids and digests."""

    def covers(self, other: Extent) -> bool:
        """Whether it is about the same and holds all that the other one does."""
        return self.same(other) and self.cells >= other.cells and self.images >= other.images

    def same(self, other: Extent) -> bool:
        """Whether both are about the same; what only one of them states, as tables of older versions do, is no
        difference."""
        both = self.subject.keys() & other.subject.keys()
        return all(self.subject[name] == other.subject[name] for name in both)

    @property
    def name(self) -> str:
        """Readable, and another one for everything else that a table could hold."""
        methods, metrics = ({cell[i] for cell in self.cells} for i in (0, 1))
        digest = content_hash(sorted(self.subject.items()), sorted(self.cells), sorted(self.images))[:8]
        images = [f"{len(self.images)}_images"] if self.images else []
        return folder(named(methods, "methods"), named(metrics, "metrics"), *images, digest)


def named(names: set[str], noun: str) -> str:
    return "+".join(sorted(names)) if 0 < len(names) <= NAMED else f"{len(names)}_{noun}"


def extent(rows: pd.DataFrame, images: pd.DataFrame, provenance: Mapping[str, Any]) -> Extent:
    """The extent of a table from its rows and its list of images, texts as its CSV files have them, and its
    provenance."""
    counts = {
        column.removesuffix("_n"): rows[column]
        for column in rows
        if column.endswith("_n") and not column.endswith("_agreed_n")
    }
    held = {name: ~values.isin(["", "0"]) for name, values in counts.items()} | {"T": rows.T_s != ""}
    cells = {(method, name) for name, which in held.items() for method in rows.method[which]}
    subject = {name: str(provenance[name]) for name in SUBJECT if name in provenance}
    return Extent(subject, frozenset(cells), frozenset(zip(images.id, images.digest, strict=True)))


def texts(file: Any) -> pd.DataFrame:
    """A CSV file as it is written: `007` is no number, `nan` is a name."""
    return pd.read_csv(file, dtype=str, keep_default_na=False)


def there(out: Path) -> Extent | None:
    """What the table in a folder holds; None where there is none that can be read."""
    try:
        return extent(texts(out / "leaderboard.csv"), texts(out / "images.csv"), facts_of(out))
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def destination(out: Path, table: Extent, before: Extent | None, computed: bool) -> Path:
    """The folder for a table: `out` itself if the table holds all that the one `before` in there does, or if the
    command computed something and the table is no mere part of that one; else a folder of its own in `out/views`."""
    if before is None or table.covers(before) or (computed and not before.covers(table)):
        return out
    return out / "views" / table.name


def told(place: Path, out: Path, table: Extent, before: Extent | None) -> str:
    """A line that says where the table is, where that is not the folder itself; else nothing."""
    if before is None or place == out:
        return ""
    what = "holds more" if before.covers(table) else "is another one"
    return f"this table is in {place}; the one in {out} {what} and stays"
