"""Rows that several files hold for one key: the newest wins, metric by metric."""

from __future__ import annotations

import pandas as pd

STORED_AT = "stored_at"
"""When a row was stored, in nanoseconds; 0 for rows of a time when that was not noted."""


def newest(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per key, from rows with the columns `key`, `have` (tags such as `AD@2`) and `stored_at`.

    The newest row that has computed a metric gives that metric's columns, NAME and NAME_vector, also where the value is
    NaN, and its tag alone stands in `have`: no other version's value passes for it. Every other column comes from the
    newest row that has it. Rows of the same time: the first one.
    """
    rows = rows.sort_values(STORED_AT, ascending=False, kind="stable")
    again = rows.key.duplicated(keep=False)
    once = rows[~again].set_index("key")
    once["have"] = [sorted(tags) for tags in once.have]
    if not again.any():
        return once.sort_index()
    joined = join(rows[again].reset_index(drop=True))
    return pd.concat([once, joined]).sort_index()


def join(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows`, numbered from 0 and the newest first, joined by key."""
    owners = rows.have.explode().dropna().rename("tag").rename_axis("row").reset_index()
    owners["column"] = owners.tag.str.rpartition("@")[0]
    owners["key"] = rows.key.to_numpy()[owners.row]
    owners = owners.drop_duplicates(["key", "column"])
    measured = [
        name for column in owners.column.unique() for name in (column, f"{column}_vector") if name in rows.columns
    ]
    joined = rows.drop(columns=[*measured, "have"]).groupby("key").first()
    joined["have"] = owners.groupby("key").tag.agg(sorted).reindex(joined.index)
    joined["have"] = [tags if isinstance(tags, list) else [] for tags in joined.have]
    for column, owner in owners.groupby("column"):
        for name in (column, f"{column}_vector"):
            if name in measured:
                values = pd.Series(rows[name].to_numpy()[owner.row], index=owner.key)
                joined[name] = values.reindex(joined.index)
    return joined
