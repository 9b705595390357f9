"""Append-only results on disk: one atomic Parquet file per job, rows found by content key."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import torch
from safetensors.torch import load_file, save

from bench.core.files import write_atomic
from bench.core.unfinished import sweep
from bench.run.merge import STORED_AT, newest
from bench.run.parts import read_parts, set_aside

SCHEMA = 1
"""Version of the row format; rows of another version are not read."""


class Store:
    """Rows of several kinds (`scores`, `clean`, `timing`) under one folder.

    A row is a dictionary with a content `key` and a list `have` of what it holds (metric tags). Rows with the same key
    complete each other, and the newest wins (`bench.run.merge`). Nothing is ever changed in place; `kill -9` at any
    moment leaves only whole files.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.added = 0
        """Rows that this process has stored."""
        self._latest = 0
        sweep(folder)

    def add(self, kind: str, rows: list[dict[str, Any]], tensors: dict[str, torch.Tensor] | None = None) -> None:
        """Store one job's rows, all or none, and the tensors that belong to them under their row's key."""
        self._latest = max(time.time_ns(), self._latest + 1)
        frame = pd.DataFrame(rows).assign(schema=SCHEMA, **{STORED_AT: self._latest})
        name = hashlib.sha256("\n".join(f"{k} {h}" for k, h in zip(frame.key, frame.have, strict=True)).encode())
        file = name.hexdigest()[:32]
        if tensors:
            write_atomic(self.folder / "maps" / f"{file}.safetensors", lambda path: path.write_bytes(save(tensors)))
            frame["maps_file"] = f"{file}.safetensors"
        write_atomic(self.folder / kind / f"{file}.parquet", lambda path: frame.to_parquet(path, index=False))
        self.added += len(rows)

    def rows(self, kind: str) -> pd.DataFrame:
        """All rows of a kind, one per key, columns joined over the files that hold a part of it; a column that is empty
        everywhere stays.

        A file that cannot be read is named, set aside and its rows computed again.
        """
        tables = read_parts(self.folder / kind, SCHEMA)
        if not tables:
            return pd.DataFrame({"key": [], "have": []}).set_index("key")
        frame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
        frame[STORED_AT] = frame[STORED_AT].fillna(0).astype("int64") if STORED_AT in frame else 0
        self._latest = max(self._latest, int(frame[STORED_AT].max()))
        return newest(frame)

    def maps(self, rows: pd.DataFrame) -> dict[str, torch.Tensor]:
        """The stored raw maps (float16, scaled to a largest magnitude of 1) of the given rows, by key, as far as the
        folder still has them: published results keep scores only. A damaged file is named and set aside."""
        found: dict[str, torch.Tensor] = {}
        for name in rows.maps_file.dropna().unique() if "maps_file" in rows else ():
            if not (file := self.folder / "maps" / name).is_file():
                continue
            try:
                tensors = load_file(file)
            except Exception as error:
                set_aside(file, error, "its maps are not compared")
                continue
            found.update({key: tensors[key] for key in rows.index if key in tensors and tensors[key].ndim == 2})
        return found


def missing(rows: pd.DataFrame, keys: Iterable[str], tags: set[str]) -> dict[str, set[str]]:
    """For every key, the tags that no stored row has yet; keys with nothing missing are left out."""
    have = rows.have.to_dict() if len(rows) else {}
    gaps = {key: tags - set(have.get(key, ())) for key in keys}
    return {key: gap for key, gap in gaps.items() if gap}
