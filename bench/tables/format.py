"""Formats of the leaderboard: what a results folder holds of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bench.core.registry import Registry
from bench.tables.content import Content

Render = Callable[[Content], str | bytes]
"""The same content gives the same bytes."""

FORMATS: Registry[Render] = Registry("format")
"""By the file's path below the results folder."""

F = TypeVar("F", bound=Render)


def table_format(file: str) -> Callable[[F], F]:
    """Register a function that renders a leaderboard as the file of that name. Returns the function unchanged."""

    def register(render: F) -> F:
        FORMATS.add(file, render)
        return render

    return register
