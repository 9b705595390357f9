"""Names, and other words, where there is little room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def short_names(names: Sequence[str], rooms: Sequence[int]) -> list[str]:
    """Each name with at most so many letters as its room has: cut at the end, or in the middle where two names that
    begin alike would become one.

    >>> short_names(["cam", "consensus-cam(companions=a)", "consensus-cam(companions=b)"], [13, 13, 13])
    ['cam', 'consen…ons=a)', 'consen…ons=b)']
    >>> short_names(["consensus-cam(companions=a)"], [13])
    ['consensus-ca…']
    """
    short = list(map(cut, names, rooms))
    count = Counter(short)
    return [
        cut(name, room, tail=(room - 1) // 2) if count[one] > 1 else one
        for name, one, room in zip(names, short, rooms, strict=True)
    ]


def cut(words: str, letters: int, tail: int = 0) -> str:
    """The words, with an ellipsis before their last `tail` letters where they are longer than so many letters."""
    if len(words) <= letters:
        return words
    return words[: letters - 1 - tail].rstrip() + "…" + words[len(words) - tail :]
