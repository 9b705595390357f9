"""`--compare RUN_A RUN_B`: two results folders beside each other, on the terminal and as files."""

from __future__ import annotations

import math
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from bench.api.compare import Comparison, compare, largest
from bench.api.pictures import pairs
from bench.api.results import load_results
from bench.core.errors import UsageError
from bench.core.files import write_atomic, write_text
from bench.core.metric import METRICS
from bench.core.paths import user_path
from bench.report.figure import save
from bench.report.pairs import draw_pairs
from bench.run.folders import folder
from bench.tables.content import number, p_value, signed

SHOWN = 30
"""Rows that are printed; all are in the files."""


def print_comparison(a: Path, b: Path, out: Path | None, across_protocols: bool) -> None:
    """Compare two results folders, print it and write settings.csv, differences.csv, images.csv, compare.md
    and, where the runs kept their maps, figures/largest. Raises
    UsageError for a folder without a table, runs of different protocols and runs with nothing in common."""
    first, second = load_results(a), load_results(b)
    protocols = [results.provenance.get("protocol") for results in (first, second)]
    if protocols[0] != protocols[1] and not across_protocols:
        raise UsageError(f"the runs are of different protocols, {protocols[0]} and {protocols[1]}; add --force if that "
                         "is what you compare")  # fmt: skip
    found, images = compare(first, second, across_protocols=True), largest(first, second)
    place = out or Path("results") / "compare" / folder(a.resolve().name, "vs", b.resolve().name)
    for name, frame in (("differences", found.differences), ("images", images)):
        write_atomic(place / f"{name}.csv", lambda path, frame=frame: frame.to_csv(path, index=False))  # type: ignore[misc]
    write_atomic(place / "settings.csv", lambda path: found.settings.to_csv(path))
    drawn = draw_pairs(pairs((first, user_path(a)), (second, user_path(b)), images))
    if drawn is not None:
        save(drawn, place / "figures", "largest")
    width = shutil.get_terminal_size((100, 24)).columns
    whole = [*told(found, images, a, b, 10**6, len(found.differences))]
    write_text(place / "compare.md", "```\n" + "\n".join(whole) + "\n```\n")
    print("\n".join(told(found, images, a, b, width, SHOWN)))
    print(f"all of it is in {place}")


def told(
    found: Comparison, images: pd.DataFrame, a: Path, b: Path, width: int, most: int
) -> Iterator[str]:  # fmt: skip
    """Lines of at most `width` letters."""
    yield from textwrap.wrap(f"a: {a}", width)
    yield from textwrap.wrap(f"b: {b}", width)
    yield ""
    yield "settings that differ" if len(found.settings) else "no setting differs"
    for name, values in found.settings.iterrows():
        yield from textwrap.wrap(
            f"{name}: {values.a} | {values.b}", width, initial_indent="  ", subsequent_indent="    "
        )
    rows = found.differences.sort_values("p", kind="stable")
    yield ""
    yield "b - a over common images, 95 % interval, p of a sign-flip test (Holm over methods)"[:width]
    names = max(map(len, ["method", *rows.method]))
    first = max(8, min(names, width - 63))
    yield f"{'method':<{first}} {'metric':<10}{'a':>8}{'b':>8}{'b - a':>8}{'interval':>17}{'p':>8}{'n':>4}"[:width]
    for row in rows.head(most).itertuples():
        metric = METRICS[row.metric.partition(" (")[0]].value
        a_value, b_value = (number(value, metric) for value in (row.a, row.b))
        ends = f"[{signed(row.low, metric)}, {signed(row.high, metric)}]" if math.isfinite(row.low) else "–"
        yield (f"{row.method[:first]:<{first}} {row.metric[:9]:<10}{a_value:>8}{b_value:>8}"
               f"{signed(row.difference, metric):>8}{ends:>17}{p_value(row.p):>8}{row.n:>4}")[:width]  # fmt: skip
    if len(rows) > most:
        yield f"… and {len(rows) - most} more"
    yield ""
    yield "images on which they differ most"
    for row in images.groupby("metric", sort=False).head(3).itertuples():
        metric = METRICS[row.metric.partition(" (")[0]].value
        values = f"{number(row.a, metric)} and {number(row.b, metric)}"
        yield f"  {row.metric} of {row.method} on {row.image}: {values}"[:width]
