"""The Parquet files of a store: read as far as they are whole and ours, named and set aside where they are not."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

log = logging.getLogger(__name__)

AGAIN = "its rows will be computed again"


def set_aside(path: Path, why: object, so: str) -> None:
    """Name a file that cannot be used and move it out of the way, where that is possible."""
    log.warning("%s cannot be read (%s); %s", path, " ".join(str(why).split()), so)
    with suppress(OSError):
        os.replace(path, path.with_suffix(".unreadable"))


def read_parts(folder: Path, schema: int) -> list[pa.Table]:
    """The tables of a folder, in the order of their files' names, with columns that fit each other.

    A file that is damaged, or not ours, is set aside. One of another `schema` (version of the row format) stays where
    it is and is not read.
    """
    found = dict(tables(folder, schema))
    odd = misfits(found)
    return [table for path, table in found.items() if path not in odd]


def tables(folder: Path, schema: int) -> Iterator[tuple[Path, pa.Table]]:
    """The tables of a folder. Where a file goes while the folder is read, because another process joins small files to
    a large one, the list is read again."""
    found: dict[Path, pa.Table] = {}
    for _ in range(RELISTED):
        paths = sorted(folder.glob("*.parquet"))
        found = {path: table for path, table in found.items() if path in set(paths)}
        found |= dict(read_tables([path for path in paths if path not in found], schema))
        if all(os.path.lexists(path) for path in paths):
            break
    yield from sorted(found.items())


RELISTED = 5


def read_tables(paths: Sequence[Path], schema: int) -> Iterator[tuple[Path, pa.Table]]:
    """The tables of files, of this schema; what is damaged or not ours is set aside, and what has gone is left out."""
    for path in paths:
        if not os.path.lexists(path):
            continue
        try:
            if not path.is_file():
                raise ValueError("not a file")
            table = pq.ParquetFile(path).read().replace_schema_metadata(None)
            check(table)
        except FileNotFoundError:
            continue
        except Exception as error:
            set_aside(path, error, AGAIN)
            continue
        if len(table) and table["schema"][0].as_py() == schema:
            yield path, table


def check(table: pa.Table) -> None:
    """Raises ValueError for a table that no store wrote."""
    kinds = {"key": is_text, "have": is_list, "schema": pa.types.is_integer}
    if len(set(table.column_names)) < len(table.column_names):
        raise ValueError("two columns have one name")
    for name, of_kind in kinds.items():
        if name not in table.column_names or not of_kind(table[name].type) or table[name].null_count:
            raise ValueError(f"no column {name!r} as CAMBench writes it")


def is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_list(kind: pa.DataType) -> bool:
    """A list of texts, or an empty one."""
    return pa.types.is_list(kind) and (is_text(kind.value_type) or pa.types.is_null(kind.value_type))


def misfits(found: dict[Path, pa.Table]) -> set[Path]:
    """The files, now set aside, whose columns are of other types than those of most files."""
    counts = Counter(table.schema for table in found.values())
    agreed, odd = pa.schema([]), set()
    for schema, _ in counts.most_common():
        try:
            agreed = pa.unify_schemas([agreed, schema], promote_options="permissive")
        except pa.ArrowException as error:
            for path in [path for path, table in found.items() if table.schema == schema]:
                set_aside(path, error, AGAIN)
                odd.add(path)
    return odd
