"""Names of methods where there is little room."""

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
    cut = [shortened(name, room, tail=0) for name, room in zip(names, rooms, strict=True)]
    count = Counter(cut)
    return [
        shortened(name, room, tail=(room - 1) // 2) if count[short] > 1 else short
        for name, short, room in zip(names, cut, rooms, strict=True)
    ]


def shortened(name: str, letters: int, tail: int) -> str:
    """At most so many letters of the name, the last `tail` of them from its end."""
    return name if len(name) <= letters else f"{name[: letters - 1 - tail]}…{name[len(name) - tail :]}"
