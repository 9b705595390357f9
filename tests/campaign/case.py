"""A case of the campaign: an input, the command that gets it, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

Make = Callable[[Path], object]
"""Fills the case's folder before the command starts."""
Check = Callable[[Path], object]
"""Looks at the case's folder afterwards; an AssertionError says what is wrong."""


@dataclass(frozen=True)
class Outcome:
    """What must come of a command."""

    exits: tuple[int, ...]
    says: tuple[str, ...] = ()
    """Regular expressions, each of which must be found: in the one line of the error where the exit code is 2, else in
    all that is printed. Upper and lower case are one, and so is white space of any length."""
    silent: tuple[str, ...] = ()
    """Regular expressions that must not be found."""


def fine(*says: str, silent: Sequence[str] = ()) -> Outcome:
    """Exit code 0."""
    return Outcome((OK,), says, tuple(silent))


def refused(*says: str, silent: Sequence[str] = ()) -> Outcome:
    """Exit code 2 and one line that says so."""
    return Outcome((USAGE,), says, tuple(silent))


def failed(*says: str, silent: Sequence[str] = ()) -> Outcome:
    """Exit code 1: a method or a metric failed, and the others have their table."""
    return Outcome((FAILED,), says, tuple(silent))


def said(*says: str, silent: Sequence[str] = ()) -> Outcome:
    """Done or refused, as the suite sees fit, but never without these words."""
    return Outcome((OK, USAGE), says, tuple(silent))


@dataclass(frozen=True)
class Step:
    """One command of a case. `how` says whether it runs in a fork of the warm process, or as a program of its own,
    for what concerns the process itself."""

    argv: tuple[str, ...]
    outcome: Outcome
    program: str = "run_benchmark"
    how: str = "fork"
    environment: dict[str, str] = field(default_factory=dict)
    shell: str = ""
    """With `how="shell"`: a command line of bash, in which $PYTHON and $ROOT are known."""


@dataclass(frozen=True)
class Case:
    name: str
    group: str
    steps: tuple[Step | Make, ...]
    """Commands, and what is done to the folder before, between and after them."""
    check: Check | None = None
    seconds: float = 60.0

    @property
    def title(self) -> str:
        return f"{self.group}: {self.name}"


class Group:
    """The cases of one topic."""

    def __init__(self, name: str):
        self.name = name
        self.cases: list[Case] = []

    def add(
        self,
        name: str,
        argv: Sequence[str],
        outcome: Outcome,
        *,
        make: Make | None = None,
        then: Sequence[Step | Make] = (),
        check: Check | None = None,
        program: str = "run_benchmark",
        how: str = "fork",
        environment: dict[str, str] | None = None,
        shell: str = "",
        seconds: float = 60.0,
    ) -> None:
        """A case of one command after `make`, and whatever comes `then`."""
        first = Step(tuple(map(str, argv)), outcome, program, how, environment or {}, shell)
        steps = (*([make] if make else []), first, *then)
        self.cases.append(Case(name, self.name, steps, check, seconds))
