"""Append-only results on disk: one atomic Parquet file per job, rows found by content key."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import platform
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save

from bench.core.errors import UsageError

log = logging.getLogger(__name__)

SCHEMA = 1
"""Version of the row format; rows of another version are not read."""
OWN = ("key", "have", "schema")
"""Columns that every row of ours has."""
DAY = 86_400.0


def write_atomic(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to the disk and rename it: readers see all or nothing.

    Raises UsageError when the disk is full and OSError that names `path` where it cannot be written otherwise; nothing
    that was stored before is touched.
    """
    temporary = path.with_name(f".{path.name}.{host()}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        remove(temporary)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UsageError(
                f"the disk that holds {path.parent} is full; all rows finished so far are stored: "
                "free some space and run the same command again"
            ) from error
        raise OSError(error.errno, f"cannot write {path}: {error.strerror or error}") from error
    except BaseException:
        remove(temporary)
        raise


def remove(file: Path) -> None:
    """Remove a file where it is and may be removed."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        log.debug("%s stays: %s", file, error)


def host() -> str:
    """This machine's name without dots, for names of temporary files."""
    return platform.node().replace(".", "-") or "host"


def abandoned(temporary: Path) -> bool:
    """Whether nobody writes this temporary file any more: its process on this machine has ended, or it is a day old."""
    *_, machine, pid, _ = temporary.name.split(".")
    try:
        if machine == host() and pid.isdecimal():
            os.kill(int(pid), 0)
        return time.time() - temporary.stat().st_mtime > DAY
    except ProcessLookupError:
        return True
    except OSError:
        return False


def write_text(path: Path, text: str) -> None:
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8", errors="backslashreplace"))


class Store:
    """Rows of several kinds (`scores`, `clean`, `timing`) under one folder.

    A row is a dictionary with a content `key` and a list `have` of what it holds (metric tags). Rows with the same key
    complete each other, and of what two of them hold the newer one is right. Nothing is ever changed in place;
    `kill -9` at any moment leaves only whole files.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        for leftover in (*folder.glob("*/.*.tmp"), *folder.glob(".*.tmp")):
            if abandoned(leftover):
                remove(leftover)

    def add(self, kind: str, rows: list[dict[str, Any]], tensors: dict[str, torch.Tensor] | None = None) -> None:
        """Store one job's rows, all or none, and the tensors that belong to them under their row's key."""
        frame = pd.DataFrame(rows).assign(schema=SCHEMA, stored_at=time.time_ns())
        name = hashlib.sha256("\n".join(f"{k} {h}" for k, h in zip(frame.key, frame.have, strict=True)).encode())
        file = name.hexdigest()[:32]
        if tensors:
            write_atomic(self.folder / "maps" / f"{file}.safetensors", lambda path: path.write_bytes(save(tensors)))
            frame["maps_file"] = f"{file}.safetensors"
        write_atomic(self.folder / kind / f"{file}.parquet", lambda path: frame.to_parquet(path, index=False))

    def rows(self, kind: str) -> pd.DataFrame:
        """All rows of a kind, one per key, columns joined over the files that hold a part of it, newest first.

        A column exists as soon as one file has it, also where it is empty everywhere. A file that cannot be read, or is
        not ours, is named and set aside; its rows are computed again.
        """
        tables = []
        for path in sorted((self.folder / kind).glob("*.parquet")):
            try:
                table = pq.read_table(path).replace_schema_metadata(None)
                if missing := [name for name in OWN if name not in table.column_names]:
                    raise ValueError(f"it has no column {missing[0]!r}")
            except Exception as error:
                set_aside(path, error)
                continue
            if len(table) and table["schema"][0].as_py() == SCHEMA:
                tables.append(table)
        if not tables:
            return pd.DataFrame({"key": [], "have": []}).set_index("key")
        frame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
        frame["have"] = [list(have) for have in frame.have]
        if "stored_at" in frame:
            frame = frame.sort_values("stored_at", ascending=False, kind="stable", na_position="last")
        return joined(frame)

    def maps(self, rows: pd.DataFrame) -> dict[str, torch.Tensor]:
        """The stored raw maps (float16, scaled to a largest magnitude of 1) of the given rows, by key, as far as the
        folder still has them: published results keep scores only. A damaged file is named and set aside."""
        found: dict[str, torch.Tensor] = {}
        for name in rows.maps_file.dropna().unique() if "maps_file" in rows else ():
            if not (file := self.folder / "maps" / name).exists():
                continue
            try:
                tensors = load_file(file)
            except Exception as error:
                set_aside(file, error)
                continue
            found.update({key: tensors[key] for key in rows.index if key in tensors})
        return found


def set_aside(path: Path, error: Exception) -> None:
    """Name a file that cannot be used, and take it out of the way where that is possible."""
    why = " ".join(str(error).split())
    log.warning("%s cannot be read (%s) and is set aside; its rows are computed again", path, why)
    try:
        path.rename(path.with_suffix(".unreadable"))
    except OSError as reason:
        log.debug("%s stays: %s", path, reason)


def joined(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per key from rows that are sorted newest first.

    Rows that hold different metrics complete each other. Where several hold the same metric, the newest gives its
    columns, also without a value, and `have` keeps its tag alone, so that no version passes for another.
    """
    held = frame[["key"]].assign(tag=frame.have).explode("tag")
    held["column"] = held.tag.map({tag: column_of(tag) for tag in held.tag.unique()})
    twice = set(held.key[held.duplicated(["key", "column"])])
    contested = frame.key.isin(twice)
    have = held.groupby("key").tag.agg(lambda tags: sorted(set(tags)))
    parts = [frame[~contested].drop(columns="have").groupby("key").first().assign(have=have)]
    if twice:
        parts.append(pd.DataFrame([newest(rows) for _, rows in frame[contested].groupby("key")]).set_index("key"))
    filled = [part for part in parts if len(part)]
    return (pd.concat(filled) if len(filled) > 1 else filled[0]).sort_index()


def column_of(tag: object) -> str:
    """`AD` of the tag `AD@1`."""
    return str(tag).rpartition("@")[0] or str(tag)


def newest(rows: pd.DataFrame) -> dict[str, Any]:
    """One row from several of a key, newest first."""
    records = rows.to_dict("records")
    owner: dict[str, tuple[dict[str, Any], str]] = {}
    for record in records:
        for tag in record["have"]:
            owner.setdefault(column_of(tag), (record, tag))
    found: dict[str, Any] = {"have": sorted(tag for _, tag in owner.values())}
    for column in rows.columns.drop("have"):
        metric = column.removesuffix("_vector")
        if metric in owner:
            found[column] = owner[metric][0][column]
        else:
            found[column] = next((r[column] for r in records if present(r[column])), None)
    return found


def present(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and value != value)


def missing(rows: pd.DataFrame, keys: Iterable[str], tags: set[str]) -> dict[str, set[str]]:
    """For every key, the tags that no stored row has yet; keys with nothing missing are left out."""
    have = rows.have.to_dict() if len(rows) else {}
    gaps = {key: tags - set(have.get(key, ())) for key in keys}
    return {key: gap for key, gap in gaps.items() if gap}


def write_json(path: Path, value: dict[str, Any]) -> None:
    write_text(path, json.dumps(value, indent=2, sort_keys=True, default=str) + "\n")
