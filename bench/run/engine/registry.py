"""Engines by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bench.core.registry import Registry
from bench.run.engine.unit import Engine
from bench.run.request import Request

Rebuild = Callable[[int], Request]
"""From the run's batch size to the same request, in a process of its own; can be pickled."""

MakeEngine = Callable[[str, Rebuild], Engine]
"""From the address of a cluster, and what its workers rebuild the request with."""

ENGINES: Registry[MakeEngine] = Registry("engine")

F = TypeVar("F", bound=MakeEngine)


def engine(name: str) -> Callable[[F], F]:
    """Register a function that makes an engine. Returns the function unchanged."""

    def register(make: F) -> F:
        ENGINES.add(name, make)
        return make

    return register
