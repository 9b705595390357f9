"""Errors that a user can correct, those of other people's code, and the words of their messages."""

from __future__ import annotations

import difflib
import signal
from collections.abc import Iterable


class UsageError(Exception):
    """Something that was asked for is unknown, missing or malformed.

    The message is one line that says what to do; the command line prints it alone and exits with 2.
    """


class Skip(Exception):
    """An explainer does not apply to this classifier (or exceeds the protocol's cap); the message is the reason."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C by the user, as against a KeyboardInterrupt that somebody's code raises."""


def on_interrupt(signum: int, frame: object) -> None:
    """The handler of SIGINT."""
    raise Interrupted


def foreign(error: BaseException) -> bool:
    """Whether somebody's code raised it. A KeyboardInterrupt is theirs where Ctrl-C would raise Interrupted."""
    if isinstance(error, KeyboardInterrupt):
        return not isinstance(error, Interrupted) and signal.getsignal(signal.SIGINT) is on_interrupt
    return True


FOREIGN_ERRORS = (Exception, SystemExit, KeyboardInterrupt, GeneratorExit)
"""What other people's code may raise, and a run survives; to be asked `foreign` before it is taken for theirs."""


def reason(error: BaseException) -> str:
    """What an exception says, on one line, with its type."""
    name = type(error).__name__
    try:
        return " ".join(f"{name}: {error}".split()).removesuffix(":")
    except Exception:  # its text is code of theirs as well
        return name


def suggest(name: str, known: Iterable[str]) -> str:
    """`did you mean …?` where something is near, else the known names."""
    names = sorted(known)
    near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    shown = ", ".join(names[:40]) + (", …" if len(names) > 40 else "")
    return f"known: {shown}" if names else "none is registered"


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
