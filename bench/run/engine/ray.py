"""`--engine ray`: Ray is imported when it is asked for."""

from __future__ import annotations

from bench.core.errors import UsageError
from bench.run.engine.registry import Rebuild, engine
from bench.run.engine.unit import Engine


@engine("ray")
def ray(address: str, rebuild: Rebuild) -> Engine:
    """A Ray cluster, by `bench.run.engine._ray_cluster.RayEngine`. Raises UsageError where Ray is not installed or no
    cluster answers at the address."""
    try:
        from bench.run.engine._ray_cluster import RayEngine
    except ModuleNotFoundError as error:
        raise UsageError(f"--engine ray needs {error.name}; run: pip install 'cambench[cluster]'") from error
    return RayEngine(address, rebuild)
