"""Peak memory of a work, ours and the peers', each in a process of its own on a CPU."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import platform
import resource
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from bench.speed.given import Choice, Given, load
from bench.speed.peers import version
from bench.speed.works import Work, build_works

OURS = ""
INTERVAL = 0.002
"""Seconds between two looks at a process's memory."""


@dataclass(frozen=True)
class Peak:
    """A line of `memory.csv`: most bytes held over what was held before the call, theirs over ours in `ratio`."""

    work: str
    peer: str
    ratio: float
    our_bytes: int
    peer_bytes: int
    images: int


def peaks(choice: Choice, given: Given, works: Iterable[Work]) -> Iterator[Peak]:
    """A line per work and installed peer; works whose peak cannot be measured here (no /proc, no GPU) are left out."""
    for work in works:
        if not any(version(peer.name) is not None for peer in work.peers):
            continue
        ours = peak_of(choice, given, work.name, OURS)
        for peer in work.peers:
            theirs = peak_of(choice, given, work.name, peer.name) if version(peer.name) is not None else None
            if ours and theirs:
                yield Peak(work.name, peer.name, theirs / ours, ours, theirs, work.images)


def peak_of(choice: Choice, given: Given, work: str, side: str) -> int | None:
    """Bytes of one side of a work, or None where it fails or cannot be measured."""
    if given.classifier.device.type == "cuda":
        return on_gpu(given.classifier.device, prepared(choice, given, work, side))
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=in_child, args=(choice, work, side, sending))
    process.start()
    sending.close()
    try:
        result: int | None = receiving.recv()
        return result
    except EOFError:  # the process died
        return None
    finally:
        process.join()


def in_child(choice: Choice, work: str, side: str, sending: object) -> None:
    """The process that is measured: loads, looks at its memory, calls once and sends the bytes."""
    from bench.plugins import register

    register()
    answer = None
    try:
        answer = on_cpu(prepared(choice, load(choice), work, side))
    finally:
        sending.send(answer)  # type: ignore[attr-defined]


def prepared(choice: Choice, given: Given, work: str, side: str) -> Callable[[], object]:
    """The call of one side of a work, everything that it is given being there already."""
    chosen = next(w for w in build_works(given, choice.quick) if w.name == work)
    if side == OURS:
        return partial(chosen.ours, given.first(chosen.images))
    peer = next(p for p in chosen.peers if p.name == side)
    return partial(peer.run, given.plain(choice.precision, choice.channels_last).first(chosen.images))


def on_gpu(device: torch.device, call: Callable[[], object]) -> int | None:
    gc.collect()
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    base = torch.cuda.memory_allocated(device)
    try:
        call()
    except Exception:
        return None
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - base


def on_cpu(call: Callable[[], object]) -> int | None:
    """Most resident bytes while `call` runs over those before, looked at every two milliseconds."""
    if not Path("/proc/self/statm").exists():
        return None
    give_back_memory()
    base = highest = resident()
    done = threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(INTERVAL):
            highest = max(highest, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        call()
    finally:
        done.set()
        watcher.join()
    return max(highest, resident()) - base


def give_back_memory() -> None:
    """Return what was freed to the system, where glibc holds it, so that it does not hide what a call takes."""
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
