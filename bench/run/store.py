"""Append-only results on disk: one atomic Parquet file per job, rows found by content key."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import safe_open
from safetensors.torch import save

from bench.core.files import write_atomic
from bench.core.unfinished import sweep
from bench.run.merge import STORED_AT, newest
from bench.run.parts import read_parts, read_tables, set_aside

SCHEMA = 1
"""Version of the row format; rows of another version are not read."""


COMPACTED = ("scores", "clean")
FEW = 64
"""Fewer small files than this are left alone."""
LARGE = 64 << 20
"""Bytes from which on a file is not small, and about which a joined one has."""


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

    def compact(self) -> None:
        """Join small files of rows into larger ones, as they are.

        A larger file is complete on the disk before the small ones go, so that a kill leaves some rows twice, which is
        harmless, and none missing. A file that another process has replaced meanwhile stays.
        """
        for kind in COMPACTED:
            for parts in groups(self.folder / kind):
                before = {part: identity(part) for part in parts}
                tables = [table for _, table in read_tables(parts, SCHEMA)]
                if not tables:
                    continue
                joined = pa.concat_tables(tables, promote_options="permissive")
                digest = hashlib.sha256("\n".join(part.name for part in parts).encode()).hexdigest()[:32]
                place = self.folder / kind / f"{digest}.parquet"
                write_atomic(place, lambda path, joined=joined: pq.write_table(joined, path))  # type: ignore[misc]
                for part in parts:
                    if identity(part) == before[part]:
                        part.unlink(missing_ok=True)

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
        """The stored raw maps of the given rows, scaled to a largest magnitude of 1, by key, as far as the folder still
        has them: published results keep scores only. A damaged file is named and set aside."""
        if "maps_file" not in rows:
            return {}
        return {key: at_peak(saliency) for key, saliency in read_maps(self.folder, rows.maps_file.dropna()).items()}


def read_maps(folder: Path, files: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """The maps as they were stored, by key, from the key's file in `folder`/maps, as far as they are there. A damaged
    file is named and set aside."""
    keys: dict[str, list[str]] = {}
    for key, name in files.items():
        keys.setdefault(name, []).append(key)
    found: dict[str, torch.Tensor] = {}
    for name, wanted in keys.items():
        if not (file := folder / "maps" / name).is_file():
            continue
        try:
            with safe_open(file, "pt") as kept:
                tensors = {key: kept.get_tensor(key) for key in set(wanted) & set(kept.keys())}
        except Exception as error:
            set_aside(file, error, "its maps are not compared")
            continue
        found.update({key: tensor for key, tensor in tensors.items() if tensor.ndim == 2})
    return found


def at_peak(saliency: torch.Tensor) -> torch.Tensor:
    """A map scaled to a largest magnitude of 1."""
    peak = saliency.float().abs().nan_to_num(0, 0, 0).max()
    return saliency / peak if peak > 0 else saliency


def missing(rows: pd.DataFrame, keys: Iterable[str], tags: set[str]) -> dict[str, set[str]]:
    """For every key, the tags that no stored row has yet; keys with nothing missing are left out."""
    have = rows.have.to_dict() if len(rows) else {}
    gaps = {key: tags - set(have.get(key, ())) for key in keys}
    return {key: gap for key, gap in gaps.items() if gap}


def groups(folder: Path) -> list[list[Path]]:
    """Small files of a folder that make one large file each; none where there are few."""
    found: list[list[Path]] = [[]]
    size = 0
    for path in sorted(folder.glob("*.parquet")):
        with suppress(OSError):
            own = path.stat().st_size
            if path.is_file() and own < LARGE // 2:
                if size + own > LARGE:
                    found.append([])
                    size = 0
                found[-1].append(path)
                size += own
    return [parts for parts in found if len(parts) >= FEW]


def identity(path: Path) -> tuple[int, int] | None:
    """Changes where a file is replaced; None for one that has gone."""
    with suppress(OSError):
        status = path.stat()
        return status.st_ino, status.st_mtime_ns
    return None
