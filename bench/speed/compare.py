"""One work beside its peers: check that the results agree, then time in turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from bench.speed.given import Given, Plain
from bench.speed.measurement import Patience, Stopwatch, interleave, ratio
from bench.speed.peers import version
from bench.speed.works import Peer, Work

NAN = float("nan")


@dataclass(frozen=True)
class Row:
    """One line of `speed.csv`: their time over ours, median, smallest and largest of the rounds."""

    work: str
    peer: str
    ratio: float = NAN
    low: float = NAN
    high: float = NAN
    our_seconds: float = NAN
    """An image, median over rounds."""
    peer_seconds: float = NAN
    images: int = 0
    repetitions: int = 0
    difference: float = NAN
    """Largest difference of the results."""
    failed: bool = False
    note: str = ""


PlainIn = Callable[[torch.dtype], Plain]
"""What the peers get, at a precision."""


def compare(work: Work, given: Given, plain_in: PlainIn, patience: Patience, watch: Stopwatch) -> list[Row]:
    """A row per peer; one that is missing, fails or computes something else has no ratio, and a note that says so."""
    our_call = partial(work.ours, given.first(work.images))
    try:
        if given.scoring.classifier.precision.compiled:
            our_call()  # compiles for the shape of the batch
        first, result = watch.time(our_call)
    except Exception as error:
        return [Row(work.name, peer.name, failed=True, note=f"ours failed: {told(error)}") for peer in work.peers]
    calls: dict[str, Callable[[], object]] = {"": our_call}
    warm, rows = {"": first}, list[Row]()
    for peer in work.peers:
        row, call, seconds = begin(work, peer, result, plain_in, given.classifier.dtype, watch)
        rows.append(row)
        if call:
            calls[peer.name], warm[peer.name] = call, seconds
    if len(calls) == 1:
        return rows
    times = {name: [s / work.images for s in taken] for name, taken in interleave(calls, patience, watch, warm).items()}
    return [timed(row, times[""], times[row.peer]) if row.peer in times else row for row in rows]


def begin(
    work: Work, peer: Peer, result: Tensor, plain_in: PlainIn, dtype: torch.dtype, watch: Stopwatch
) -> tuple[Row, Callable[[], Tensor] | None, float]:
    """The first call of a peer: a row without times, the call to be timed if it can be, and its seconds."""
    blank = partial(Row, work.name, peer.name, images=work.images)
    if version(peer.name) is None:
        return blank(note=f"{peer.name} is not installed: pip install cambench[peers]"), None, NAN
    notes = [peer.differs] if peer.differs else []
    try:
        call = partial(peer.run, plain_in(dtype).first(work.images))
        try:
            seconds, theirs = watch.time(call)
        except Exception as error:
            if dtype == torch.float32:
                raise
            notes.append(f"peer in float32, it cannot do {str(dtype).removeprefix('torch.')} ({told(error)})")
            call = partial(peer.run, plain_in(torch.float32).first(work.images))
            seconds, theirs = watch.time(call)
    except Exception as error:
        return blank(failed=True, note=f"{peer.name} failed: {told(error)}"), None, NAN
    difference = largest_difference(peer.view(result), theirs)
    if not peer.differs and not difference <= work.tolerance and dtype == torch.float32:
        note = f"not compared: the results differ by {difference:.2g}, more than {work.tolerance:g}"
        return blank(difference=difference, failed=True, note=note), None, NAN
    return blank(difference=difference, note="; ".join(notes)), call, seconds


def timed(row: Row, ours: list[float], theirs: list[float]) -> Row:
    found = ratio(ours, theirs)
    return Row(
        row.work, row.peer, found.median, found.low, found.high, statistics.median(ours), statistics.median(theirs),
        row.images, len(ours), row.difference, row.failed, row.note,
    )  # fmt: skip


def largest_difference(ours: Tensor, theirs: Tensor) -> float:
    """max |a − b|; infinite where shapes differ, NaN where either has one."""
    if ours.shape != theirs.shape:
        return float("inf")
    return float((ours.detach().cpu().double() - theirs.detach().cpu().double()).abs().max())


def told(error: Exception) -> str:
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:160]
