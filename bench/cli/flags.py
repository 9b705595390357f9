"""Flags of our programs: numbers in their ranges, and a wrong command told in one line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

from bench.core.errors import UsageError, suggest
from bench.core.paths import user_path
from bench.core.ranges import Range

T = TypeVar("T", int, float)


class Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows a default where it says something."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        telling = action.default not in (None, False, [], argparse.SUPPRESS)
        return super()._get_help_string(action) if telling else action.help


class Parser(argparse.ArgumentParser):
    """An argument parser that shows every default and does not print all flags when one is wrong."""

    def __init__(self, prog: str, description: str | None, epilog: str | None = None):
        super().__init__(prog, description=description, epilog=epilog,
                         formatter_class=Formatter)  # fmt: skip

    def error(self, message: str) -> NoReturn:
        unknown = re.fullmatch(r"unrecognized arguments: (--[\w-]+).*", message)
        hint = suggest(unknown[1], list(self._option_string_actions)) if unknown else "--help lists the flags"
        self.exit(2, f"error: {' '.join(message.split())}; {hint}\n")


def path(text: str) -> Path:
    """Type of a flag: a file or folder, which may begin with `~`."""
    try:
        return user_path(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def whole(allowed: Range) -> Callable[[str], int]:
    """Type of a flag: a whole number in the range."""
    return _number(int, allowed, "whole number")


def real(allowed: Range) -> Callable[[str], float]:
    """Type of a flag: a number in the range."""
    return _number(float, allowed, "number")


def _number(kind: Callable[[str], T], allowed: Range, name: str) -> Callable[[str], T]:
    def convert(text: str) -> T:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a {name}") from None
        if value not in allowed:
            raise argparse.ArgumentTypeError(f"must be {allowed}, not {text}")
        return value

    return convert
