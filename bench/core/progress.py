"""Progress: a bar on a terminal, else a plain line every half minute, so that a log stays readable."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from tqdm import tqdm

EVERY = 30.0
"""Seconds between two lines where nobody watches."""
PLAIN = "{desc}{n_fmt} of {total_fmt} {unit}s, {elapsed} so far, {remaining} to go"


class PlainProgress(tqdm):  # type: ignore[misc]
    """Lines in place of a bar that is drawn over itself; nothing at all for what takes less than half a minute."""

    def __init__(self, *args: Any, **options: Any):
        options |= {"mininterval": EVERY, "maxinterval": EVERY, "delay": EVERY, "bar_format": PLAIN, "leave": False}
        super().__init__(*args, **options)

    @staticmethod
    def status_printer(file: Any) -> Callable[[str], None]:
        def print_line(text: str) -> None:
            if text.strip():
                file.write(text.strip() + "\n")
                file.flush()

        return print_line

    def set_description(self, desc: str | None = None, refresh: bool = True) -> None:
        """Another name, which the next line will have: a line of its own is not worth it."""
        super().set_description(desc, refresh=False)

    def close(self) -> None:
        """End without a word: the last line of a bar is for those who watch it."""
        if not self.disable:
            self.disable: bool = True
            self._decr_instances(self)


def progress(items: Iterable[Any] | None = None, desc: str = "", **options: Any) -> Any:
    """tqdm with its options, as lines where stderr is no terminal."""
    kind = tqdm if sys.stderr.isatty() else PlainProgress
    return kind(items, desc, **options)
