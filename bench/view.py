"""Where a table is written: a view of a run never takes the place of a fuller table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.core.seeds import content_hash

SUBJECT = ("classifier", "target layer", "weights sha256", "data", "protocol", "judge")
"""Provenance that two tables of the same thing share."""


@dataclass(frozen=True)
class Extent:
    """What a table in a folder holds."""

    subject: tuple[Any, ...]
    methods: frozenset[str]
    metrics: frozenset[str]
    images: frozenset[tuple[str, str]]

    def covers(self, other: Extent) -> bool:
        return (
            self.subject == other.subject
            and self.methods >= other.methods
            and self.metrics >= other.metrics
            and self.images >= other.images
        )

    @property
    def name(self) -> str:
        """Readable, and another one for everything else that a table could hold."""
        digest = content_hash(self.subject, sorted(self.methods), sorted(self.metrics), sorted(self.images))[:8]
        return f"{len(self.methods)}-methods-{len(self.metrics)}-metrics-{len(self.images)}-images-{digest}"


def subject(provenance: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(str(provenance.get(name, "")) for name in SUBJECT)


def held(rows: pd.DataFrame, images: pd.DataFrame, provenance: dict[str, Any]) -> Extent:
    """The extent of a table from its rows (as leaderboard.csv has them), its list of images and its provenance."""
    done = rows[rows.status == "ok"]
    named = [column.removesuffix("_n") for column in rows.columns if column.endswith("_n")]
    valued = [name for name in [*named, "T_s"] if name in done and done[name].notna().any()]
    pairs = zip(images.id.astype(str), images.digest.astype(str), strict=True)
    return Extent(subject(provenance), frozenset(done.method.astype(str)), frozenset(valued), frozenset(pairs))


def stored(folder: Path) -> Extent | None:
    """What the table in a folder holds; None where there is none that can be read."""
    try:
        rows, images = pd.read_csv(folder / "leaderboard.csv"), pd.read_csv(folder / "images.csv")
        return held(rows, images, json.loads((folder / "run.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def destination(folder: Path, table: Extent, computed: bool) -> Path:
    """The folder for a table: `folder` itself if the command computed something new, or if the table holds all that the
    one in there does; else a folder of its own in `folder/views`."""
    there = stored(folder)
    return folder if computed or there is None or table.covers(there) else folder / "views" / table.name
