"""Interleaved repetitions and their ratios."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

T = TypeVar("T")


class Ratio(NamedTuple):
    """Their time over ours: above 1, ours is faster."""

    median: float
    """Over rounds."""
    low: float
    high: float
    """The smallest and the largest of the rounds."""


@dataclass(frozen=True)
class Patience:
    """How long to repeat: at least `least` rounds, no further one after `seconds`, never more than `most`."""

    seconds: float
    least: int = 1
    most: int = 15

    def enough(self, rounds: int, spent: float) -> bool:
        return rounds >= self.most or (rounds >= self.least and spent >= self.seconds)


@dataclass(frozen=True)
class Stopwatch:
    """Seconds of a call, with the device's queue emptied before and after."""

    synchronise: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.perf_counter

    def time(self, call: Callable[[], T]) -> tuple[float, T]:
        self.synchronise()
        start = self.clock()
        result = call()
        self.synchronise()
        return self.clock() - start, result


def interleave(
    calls: Mapping[str, Callable[[], object]],
    patience: Patience,
    watch: Stopwatch,
    warm: Mapping[str, float] | None = None,
) -> dict[str, list[float]]:
    """Seconds of each call, a list per name: rounds A B C A B C …, so that a busy machine slows all alike.

    `warm` are the seconds of calls made before, which have warmed everything up. Where they alone used up the patience
    they are long enough to be the first round themselves; else they are not counted.
    """
    warm = warm or {}
    long = bool(warm) and sum(warm.values()) >= patience.seconds
    seconds = {name: [warm[name]] if long else list[float]() for name in calls}
    spent, rounds = sum(warm.values()) if long else 0.0, int(long)
    while not patience.enough(rounds, spent):
        for name, call in calls.items():
            seconds[name].append(watch.time(call)[0])
            spent += seconds[name][-1]
        rounds += 1
    return seconds


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Of seconds per image, round by round: both sides of a round saw the same machine."""
    rounds = [b / a for a, b in zip(ours, theirs, strict=True)]
    return Ratio(statistics.median(rounds), min(rounds), max(rounds))


def spoken(times: float) -> str:
    """A ratio in words: 0.984, 3.68, 1,287."""
    return f"{times:,.0f}" if times >= 1000 else f"{times:.3g}"


def slope(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """b of seconds ≈ a · size^b: least squares on logarithms. 1 is proportional, 0 does not grow."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
