"""Who carries out the units of a run: this process, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from bench.core.errors import UsageError
from bench.run.engine.local import LocalEngine
from bench.run.engine.unit import Engine

if TYPE_CHECKING:
    from bench.run.request import Request

EngineName = Literal["local", "ray"]


def choose_engine(name: EngineName, address: str, rebuild: Callable[[], Request]) -> Engine:
    """The engine of that name; `address` and `rebuild` are Ray's: see `bench.run.engine.ray.RayEngine`.

    Raises UsageError where Ray is not installed or no cluster answers at the address.
    """
    if name == "local":
        return LocalEngine()
    try:
        from bench.run.engine.ray import RayEngine
    except ModuleNotFoundError as error:
        raise UsageError(f"--engine ray needs {error.name}; run: pip install 'cambench[cluster]'") from error
    return RayEngine(address, rebuild)
