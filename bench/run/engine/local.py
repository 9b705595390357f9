"""One process, one unit after the other."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from bench.run.engine.registry import Rebuild, engine
from bench.run.engine.unit import Engine, Unit, UnitResult, Wanted
from bench.run.engine.worker import Worker
from bench.run.request import Request


class LocalEngine:
    """Carries out the units in this process, in their order."""

    def carry_out(
        self, request: Request, units: Sequence[Unit], wanted: Wanted
    ) -> Generator[tuple[Unit, UnitResult], None, None]:
        worker = Worker(request)
        with request.classifier.sharing():
            for unit in units:
                if wanted(unit):
                    yield unit, worker.carry_out(unit)


@engine("local")
def local(address: str, rebuild: Rebuild) -> Engine:
    """This process; there is no address and nothing to rebuild."""
    return LocalEngine()
