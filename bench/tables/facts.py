"""Facts of a row: the columns of a table that are no metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.tables.content import Line


@dataclass(frozen=True)
class Fact:
    """A column of `leaderboard.csv` about the method itself, after those of the metrics."""

    column: str
    value: Callable[[Line], object]


FACTS = (
    Fact("T_s", lambda line: line.method.seconds),
    Fact("T_low", lambda line: line.method.seconds_low),
    Fact("T_high", lambda line: line.method.seconds_high),
    Fact("passes", lambda line: line.method.passes),
    Fact("images", lambda line: line.images),
    Fact("degenerate", lambda line: line.degenerate),
    Fact("tied", lambda line: line.tied),
    Fact("control", lambda line: line.method.control),
    Fact("equal_to", lambda line: line.method.equal_to),
    Fact("trained_on", lambda line: line.method.trained_on),
    Fact("status", lambda line: line.method.status),
    Fact("reason", lambda line: line.method.reason),
    Fact("rank", lambda line: line.place.value),
    Fact("rank_low", lambda line: line.place.low),
    Fact("rank_high", lambda line: line.place.high),
    Fact("not_ranked", lambda line: line.not_ranked),
)
"""A further one is a line here, and its value a field of `MethodRow`, filled in `bench.run.table_of_request`."""
