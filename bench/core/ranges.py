"""Which numbers a parameter or a flag may take."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.core.errors import UsageError


@dataclass(frozen=True)
class Range:
    """Finite numbers from `low` to `high`, both included unless `above`, which leaves out `low`.

    Stands in an annotation, as in `steps: Annotated[int, within(1, 1000)] = 100`.
    """

    low: float = -math.inf
    high: float = math.inf
    above: bool = False

    def __contains__(self, value: float) -> bool:
        return math.isfinite(value) and (self.low < value if self.above else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        if self.above:
            start = f"above {number(self.low)}"
            return start if math.isinf(self.high) else f"{start}, at most {number(self.high)}"
        if math.isinf(self.high):
            return "any finite number" if math.isinf(self.low) else f"at least {number(self.low)}"
        return f"from {number(self.low)} to {number(self.high)}"

    def check(self, name: str, value: float) -> None:
        """Raise UsageError for a value outside; `name` is the flag or field that gave it."""
        if value not in self:
            raise UsageError(f"{name} must be {self}, not {value}")


FINITE = Range()


def within(low: float, high: float) -> Range:
    """From `low` to `high`. The upper end stands far above what is of use, where memory or patience would end."""
    return Range(low, high)


def at_least(low: float) -> Range:
    return Range(low)


def above(low: float, high: float = math.inf) -> Range:
    """More than `low`, and at most `high`."""
    return Range(low, high, above=True)


def number(value: float) -> str:
    """Whole numbers in all their digits, others as short as they can be."""
    return str(int(value)) if value == int(value) else f"{value:g}"
