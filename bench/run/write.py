"""A run from request to results folder: carried out, printed, written."""

from __future__ import annotations

import io
import time
from pathlib import Path

from bench.core.files import write_atomic, write_json
from bench.report.write import write_report
from bench.run.carry_out import CompletedRun, result
from bench.run.engine.unit import Engine
from bench.run.evidence import evidence_of
from bench.run.precision_budget import facts
from bench.run.provenance import run_facts
from bench.run.request import Request
from bench.run.shown import closing
from bench.run.timing import stored_timings
from bench.run.view import destination, extent, texts, there, told
from bench.tables.formats import csv as render_csv
from bench.tables.leaderboard import Leaderboard

ROWS = "rows.parquet"


def run(request: Request, engine: Engine | None = None) -> bool:
    """Carry out a request, print its leaderboard and write it to `request.out`; returns whether some method failed.
    The engine is this process alone unless another is given."""
    start = time.monotonic()
    finished, table = result(request, engine)
    place = print_and_write(finished, table)
    if finished.store.added:
        finished.store.compact()
    if not request.view.json:
        print(closing(place, time.monotonic() - start, request.report))
    return finished.failed


def print_and_write(finished: CompletedRun, table: Leaderboard, show: bool = True) -> Path:
    """Write all that belongs to a table, into the run's folder or, for a view, beside it; print it in any case.
    Returns the folder."""
    request, before = finished.request, there(finished.request.out)
    rows = texts(io.StringIO(render_csv.leaderboard(table)))
    held = extent(rows, finished.images.listed.astype(str), table.provenance)
    place = destination(request.out, held, before, computed=finished.store.added > 0)
    timings = stored_timings(request, finished.store, finished.scored)
    try:
        table.write(place)
        finished.images.write(place)
        write_rows(finished, place)
        if len(timings):
            write_atomic(place / "timing.csv", lambda path: timings.to_csv(path, index=False))
        write_json(place / "run.json", run_facts(request, table.provenance) | facts(finished.budget))
    finally:
        if show:
            print(request.view.printed(table))
    if request.report:
        write_report(evidence_of(finished, table), place)
    if show and not request.view.json and (line := told(place, request.out, held, before)):
        print(line)
    return place


def write_rows(finished: CompletedRun, folder: Path) -> None:
    """`rows.parquet`: which stored row stands behind each method and image of the table, by content key."""
    rows = finished.rows
    write_atomic(folder / ROWS, lambda path: rows[["method", "image", "key"]].to_parquet(path, index=False))
