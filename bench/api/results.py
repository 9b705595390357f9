"""Results as objects: the table, its rows, its files."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.core.errors import UsageError, suggest
from bench.core.files import write_atomic
from bench.core.metric import METRICS, Metric
from bench.core.paths import user_path
from bench.plugins import register
from bench.run.store import Store
from bench.scoring.judge import PANEL

ROWS = "rows.parquet"
TABLES = ("leaderboard.csv", "leaderboard.md", "leaderboard.tex", "leaderboard.txt", "differences.csv", "transfer.csv",
          "images.csv", "timing.csv", "run.json")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Results:
    """A run's table and what stands behind it."""

    files: Mapping[str, bytes]
    """By path below a results folder."""
    stored: pd.DataFrame
    """The stored rows of the table, one per method and image, with their content `key`."""
    names: Mapping[str, str]
    """Metrics by name, to the column in which rows keep them."""

    def frame(self) -> pd.DataFrame:
        """The leaderboard: a row per method, in the table's units, as in `leaderboard.csv`."""
        return self._read("leaderboard.csv").set_index("method")

    def differences(self) -> pd.DataFrame:
        """Every method minus Grad-CAM, paired over images, as in `differences.csv`."""
        return self._read("differences.csv")

    def images(self) -> pd.DataFrame:
        """The images, with digests."""
        return self._read("images.csv")

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the table comes from, as in `run.json`."""
        facts: dict[str, Any] = json.loads(self.files["run.json"])
        return facts

    @property
    def failed(self) -> list[str]:
        """Methods that failed; `frame()` has the reasons."""
        frame = self.frame()
        result: list[str] = frame.index[frame.status.isin(["failed", "out of memory"])].tolist()
        return result

    def table(self) -> str:
        """The table for a terminal; of a folder written by an older version, in Markdown."""
        return (self.files.get("leaderboard.txt") or self.files["leaderboard.md"]).decode()

    def __repr__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        return str(self.frame()[list(self.names)].round(2).to_html())

    def scores(self) -> pd.DataFrame:
        """Values image by image: index (method, image), a column per metric, in the table's units."""
        values = {name: scale(name) * self.stored[column] for name, column in self.names.items()}
        index = pd.MultiIndex.from_frame(self.stored[["method", "image"]])
        return pd.DataFrame({name: value.to_numpy(float) for name, value in values.items()}, index=index)

    def right(self) -> pd.Series[bool]:
        """Whether the network's likeliest class is the label, by image; images without a label are left out."""
        known = self.stored.reindex(columns=["image", "right"]).dropna().drop_duplicates("image")
        return known.set_index("image")["right"].astype(bool)

    def curves(self, metric: str) -> pd.DataFrame:
        """A curve's values: index (method, image), columns the share of the pixels, 0 to 1, values in [0, 1].

        Raises UsageError for a metric that has no curve.
        """
        column = f"{self.column(metric)}_vector"
        rows = self.stored.dropna(subset=[column]) if column in self.stored else self.stored[:0]
        if rows.empty:
            raise UsageError(f"{metric} has no curve in these results")
        values = np.stack([np.asarray(vector, dtype=float) for vector in rows[column]])
        index = pd.MultiIndex.from_frame(rows[["method", "image"]])
        return pd.DataFrame(values, index=index, columns=np.linspace(0, 1, values.shape[1]))

    def column(self, metric: str) -> str:
        """Raises UsageError for a metric that the table does not have."""
        if metric not in self.names:
            raise UsageError(f"these results have no metric {metric!r}; {suggest(metric, self.names)}")
        return self.names[metric]

    def write(self, folder: str | Path) -> Path:
        """Write the files and the rows into a results folder, which `load_results` and the command line read."""
        out = user_path(folder)
        for name, content in self.files.items():
            write_atomic(out / name, lambda path, content=content: path.write_bytes(content))  # type: ignore[misc]
        rows = self.stored[["method", "image", "key"]]
        write_atomic(out / ROWS, lambda path: rows.to_parquet(path, index=False))
        records = self.stored.drop(columns=["maps_file", "stored_at", "schema"], errors="ignore")
        Store(out).add("scores", [kept(record) for record in records.to_dict("records")])
        return out

    def _read(self, name: str) -> pd.DataFrame:
        return pd.read_csv(io.BytesIO(self.files[name]))


def kept(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what is missing, so that columns keep their types."""
    return {name: value for name, value in record.items() if np.ndim(value) or not pd.isna(value)}


def scale(name: str) -> float:
    """The table shows this times the value; of a judge's column that of its metric."""
    base = name.partition(" (")[0]
    return METRICS[base].value.scale if base in METRICS else 1.0


def names_of(metrics: list[Metric]) -> dict[str, str]:
    return {metric.name: metric.column for metric in metrics}


def load_results(folder: str | Path) -> Results:
    """The results that a run, or `Results.write`, left in a folder, or a view of them.

    Raises UsageError for a folder without a table, and where its rows are of several runs that cannot be distinguished.
    """
    register()
    out = user_path(folder)
    files = {name: (out / name).read_bytes() for name in TABLES if (out / name).is_file()}
    if "leaderboard.csv" not in files:
        raise UsageError(f"{out} holds no leaderboard.csv; name a results folder")
    frame = pd.read_csv(io.BytesIO(files["leaderboard.csv"])).set_index("method")
    place = next((home for home in (out, out.parent.parent) if (home / "scores").is_dir()), out)
    stored = Store(place).rows("scores").rename_axis("key").reset_index()
    counts = [name for name in frame if name.endswith("_n") and not name.endswith("_agreed_n")]
    metrics = [name.removesuffix("_n") for name in counts]
    add_panels(metrics, stored)
    names = {name: column for name in metrics if (column := stored_column(name, stored))}
    return Results(files, rows_of_table(out, frame, stored, names), names)


def add_panels(metrics: Sequence[str], stored: pd.DataFrame) -> None:
    """Give the stored rows the columns of a panel, means over its judges' columns, as tables have them."""
    for name in metrics:
        base, _, judge = name.partition(" (")
        if judge == f"{PANEL})":
            judged = [one for one in metrics if one.startswith(f"{base} (") and one != name]
            parts = [column for one in judged if (column := stored_column(one, stored))]
            if len(parts) == len(judged):
                stored[name] = stored[parts].mean(axis=1, skipna=False)


def stored_column(name: str, stored: pd.DataFrame) -> str | None:
    """Where rows keep a metric: its name or, for a judge's, the name with the judge's key."""
    columns = [column for column in stored if column == name or column.startswith(f"{name} ")]
    return columns[0] if len(columns) == 1 or name in columns else None


def rows_of_table(out: Path, frame: pd.DataFrame, stored: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """The stored rows behind a table: those that `rows.parquet` names or, in folders without it, the newest of each
    method and image, as long as their means are the table's."""
    if (out / ROWS).is_file():
        wanted = pd.read_parquet(out / ROWS)
        facts = stored.drop(columns=["method", "image"], errors="ignore")
        return wanted.merge(facts, on="key", how="inner")
    images = set(pd.read_csv(out / "images.csv").id.astype(str)) if (out / "images.csv").is_file() else set()
    rows = stored[stored.method.isin(frame.index) & stored.image.isin(images)]
    rows = rows.sort_values("stored_at", kind="stable").drop_duplicates(["method", "image"], keep="last")
    for name, column in names.items():
        if METRICS[name.partition(" (")[0]].value.pool:
            continue
        means = scale(name) * rows.groupby("method")[column].mean().reindex(frame.index)
        if not np.allclose(means, frame[name], rtol=1e-4, atol=1e-4, equal_nan=True):
            raise UsageError(f"{out} holds rows of several runs; make its table again, then load it")
    return rows.reset_index(drop=True)
