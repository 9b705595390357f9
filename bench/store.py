"""Append-only results on disk: one atomic Parquet file per job, rows found by content key."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save

from bench.core.errors import UsageError

log = logging.getLogger(__name__)

SCHEMA = 1
"""Version of the row format; rows of another version are not read."""


def write_atomic(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to the disk and rename it: readers see all or nothing.

    Raises UsageError when the disk is full; nothing that was stored before is touched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UsageError(
                f"the disk that holds {path.parent} is full; all rows finished so far are stored: "
                "free some space and run the same command again"
            ) from error
        raise
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


class Store:
    """Rows of several kinds (`scores`, `clean`, `timing`) under one folder.

    A row is a dictionary with a content `key` and a list `have` of what it holds (metric tags). Rows with the same key
    complete each other. Nothing is ever changed in place; `kill -9` at any moment leaves only whole files.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        for leftover in folder.glob("*/.*.tmp"):
            leftover.unlink(missing_ok=True)

    def add(self, kind: str, rows: list[dict[str, Any]], tensors: dict[str, torch.Tensor] | None = None) -> None:
        """Store one job's rows, all or none, and the tensors that belong to them under their row's key."""
        frame = pd.DataFrame(rows).assign(schema=SCHEMA)
        name = hashlib.sha256("\n".join(f"{k} {h}" for k, h in zip(frame.key, frame.have, strict=True)).encode())
        file = name.hexdigest()[:32]
        if tensors:
            write_atomic(self.folder / "maps" / f"{file}.safetensors", lambda path: path.write_bytes(save(tensors)))
            frame["maps_file"] = f"{file}.safetensors"
        write_atomic(self.folder / kind / f"{file}.parquet", lambda path: frame.to_parquet(path, index=False))

    def rows(self, kind: str) -> pd.DataFrame:
        """All rows of a kind, one per key, columns joined over the files that hold a part of it.

        An unreadable file is named, set aside and its rows computed again.
        """
        frames = []
        for path in sorted((self.folder / kind).glob("*.parquet")):
            try:
                frame = pq.read_table(path).to_pandas()
            except Exception as error:
                log.warning("%s cannot be read (%s); its rows will be computed again", path, error)
                path.rename(path.with_suffix(".unreadable"))
                continue
            if len(frame) and frame.schema.iloc[0] == SCHEMA:
                frames.append(frame)
        if not frames:
            return pd.DataFrame({"key": [], "have": []}).set_index("key")
        frame = pd.concat([f.dropna(axis="columns", how="all") for f in frames], ignore_index=True)
        have = frame.groupby("key").have.agg(lambda lists: sorted({tag for tags in lists for tag in tags}))
        return frame.drop(columns="have").groupby("key").first().assign(have=have)

    def maps(self, rows: pd.DataFrame) -> dict[str, torch.Tensor]:
        """The stored raw maps (float16, scaled to a largest magnitude of 1) of the given rows, by key, as far as the
        folder still has them: published results keep scores only."""
        found: dict[str, torch.Tensor] = {}
        for name in rows.maps_file.dropna().unique():
            if not (file := self.folder / "maps" / name).exists():
                continue
            tensors = load_file(file)
            found.update({key: tensors[key] for key in rows.index if key in tensors})
        return found


def missing(rows: pd.DataFrame, keys: Iterable[str], tags: set[str]) -> dict[str, set[str]]:
    """For every key, the tags that no stored row has yet; keys with nothing missing are left out."""
    have = rows.have.to_dict() if len(rows) else {}
    gaps = {key: tags - set(have.get(key, ())) for key in keys}
    return {key: gap for key, gap in gaps.items() if gap}


def write_json(path: Path, value: dict[str, Any]) -> None:
    write_text(path, json.dumps(value, indent=2, sort_keys=True, default=str) + "\n")
