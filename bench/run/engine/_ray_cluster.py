"""Units spread over the nodes of a Ray cluster, and carried out again elsewhere when a node is lost."""

from __future__ import annotations

import atexit
import logging
import os
import platform
import shutil
from collections import Counter, deque
from collections.abc import Container, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from ray._private.services import canonicalize_bootstrap_address
from ray.exceptions import RayError, RayTaskError

from bench.core.errors import UsageError, plural
from bench.core.seeds import content_hash
from bench.run.engine.address import no_cluster, require_cluster
from bench.run.engine.registry import Rebuild
from bench.run.engine.unit import Outcome, Unit, UnitResult, Wanted
from bench.run.engine.worker import Worker
from bench.run.keys import ContentKeys
from bench.run.request import Request

log = logging.getLogger(__name__)

LOSSES = 3
"""A unit under which so many workers have died has killed them."""
PATIENCE = 600.0
"""Seconds without a sign of any worker after which the user is told."""


def connect(address: str) -> None:
    """Join the cluster at `auto` or HOST:PORT, or start one on this machine (`local`), which ends and leaves no files
    when this process does. Raises UsageError."""
    if ray.is_initialized():
        return
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        log.warning("Ray's token authentication is off: whoever reaches its ports can run code as this user")
    if address == "local":
        start_here()
        return
    try:
        found = canonicalize_bootstrap_address(address) if address == "auto" else address
        require_cluster(found or address)
        ray.init(address=found, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise no_cluster(address, str(error).splitlines()[0]) from error


def start_here() -> None:
    """Start a cluster on this machine alone. Raises UsageError."""
    try:
        context = ray.init(address="local", include_dashboard=False, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise UsageError(f"Ray cannot be started on this machine: {one_line(error)}") from error
    session = context.address_info["session_dir"]  # type: ignore[attr-defined]
    atexit.register(end, Path(session))


def end(session: Path) -> None:
    """Shut down the cluster that was started here, and remove its folder of logs, sockets and spilled objects."""
    ray.shutdown()
    shutil.rmtree(session, ignore_errors=True)
    latest = session.with_name("session_latest")
    if latest.is_symlink() and not latest.exists():
        latest.unlink(missing_ok=True)


def fingerprint(request: Request) -> str:
    """Driver and worker must mean the same classifier and the same metrics, by the same torch."""
    net = request.classifier
    tags = [metric.tag for metric in request.metrics]
    return content_hash(ContentKeys(request).clean(""), net.layer, *net.scoring_key, *tags)


class Actor:
    """A worker in a process of its own, on some node: the classifier is loaded when it is first asked to be ready."""

    def __init__(self, rebuild: Rebuild, batch: int, folder: Path, expected: str, threads: int):
        self.rebuild, self.batch, self.folder, self.expected = rebuild, batch, folder, expected
        self.worker: Worker | None = None
        torch.set_num_threads(threads)

    @ray.method(max_task_retries=-1)
    def ready(self) -> None:
        """Load what the command names, from the same folder. Raises UsageError where it comes out otherwise."""
        if self.worker:
            return
        if not self.folder.is_dir():
            raise UsageError(f"{platform.node()} has no folder {self.folder}; the nodes need a shared file system")
        os.chdir(self.folder)
        request = self.rebuild(self.batch)
        if fingerprint(request) != self.expected:
            raise UsageError(
                f"{platform.node()} loads another {request.classifier.name}, or under another torch, than the command "
                "did; share the files, and draw no weights without a seed"
            )
        self.worker = Worker(request)

    def carry_out(self, unit: Unit) -> UnitResult:
        assert self.worker
        return self.worker.carry_out(unit)


class Queue:
    """Units that wait, by chunk: a worker that has a chunk's pixels keeps to it."""

    def __init__(self, units: Sequence[Unit], wanted: Wanted):
        self.wanted = wanted
        self.waiting: dict[int, deque[Unit]] = {}
        for unit in units:
            self.put(unit)

    def put(self, unit: Unit) -> None:
        self.waiting.setdefault(unit.chunk, deque()).append(unit)

    def take(self, own: int | None, others: Container[int | None]) -> Unit | None:
        """A wanted unit of the own chunk, else of the first that no other worker is at, else of the first."""
        while self.waiting:
            first = next(iter(self.waiting))
            free = (chunk for chunk in self.waiting if chunk not in others)
            chunk = own if own in self.waiting else next(free, first)
            unit = self.waiting[chunk].popleft()
            if not self.waiting[chunk]:
                del self.waiting[chunk]
            if self.wanted(unit):
                return unit
        return None


@dataclass(eq=False)
class Hand:
    """An actor, the unit that it is at, and the chunk whose pixels it has."""

    actor: Any
    unit: Unit | None = None
    chunk: int | None = None


@dataclass(frozen=True)
class RayEngine:
    """An actor for each GPU of the cluster or, for a classifier on the CPU, for every so many cores as this process has
    threads. Each loads the classifier once, by `rebuild`, and reads the images from the same paths as this process.

    Ray restarts a lost actor wherever there is room (`max_restarts`) and gets it ready again (`max_task_retries`).
    Its unit does not wait for that, since the nodes that are left may have no room: whoever is ready first carries it
    out.
    Raises UsageError where no cluster answers at the address.
    """

    address: str
    rebuild: Rebuild

    def __post_init__(self) -> None:
        connect(self.address)

    def carry_out(
        self, request: Request, units: Sequence[Unit], wanted: Wanted
    ) -> Generator[tuple[Unit, UnitResult], None, None]:
        queue, losses, idle = Queue(units, wanted), Counter[Unit](), list[Hand]()
        hands = self.start(request, len(units))
        calls = {hand.actor.ready.remote(): hand for hand in hands}
        try:
            while True:
                while idle and (unit := queue.take(idle[-1].chunk, {hand.chunk for hand in calls.values()})):
                    hand = idle.pop()
                    hand.unit, hand.chunk = unit, unit.chunk
                    calls[hand.actor.carry_out.remote(unit)] = hand
                if not queue.waiting and not any(hand.unit for hand in calls.values()):
                    return
                call = first_done(list(calls))
                hand = calls.pop(call)
                unit, hand.unit = hand.unit, None
                try:
                    answer = ray.get(call)
                except RayTaskError as error:
                    raise error.cause from None
                except RayError as error:
                    if unit is None:
                        raise UsageError(f"a worker cannot be started on the cluster: {one_line(error)}") from error
                    calls[hand.actor.ready.remote()] = hand
                    losses[unit] += 1
                    if losses[unit] < LOSSES:
                        queue.put(unit)
                    else:
                        died = f"{plural(LOSSES, 'worker')} died of it: {one_line(error)}"
                        yield unit, UnitResult(Outcome("failed", died))
                else:
                    idle.append(hand)
                    if unit:
                        yield unit, answer
        finally:
            for hand in hands:
                ray.kill(hand.actor)

    def start(self, request: Request, most: int) -> list[Hand]:
        """As many actors as the cluster's nodes have room for, and no more than there are units."""
        gpus = int(request.classifier.device.type == "cuda")
        threads = 1 if gpus else torch.get_num_threads()
        nodes = [Counter(node["Resources"]) for node in ray.nodes() if node["Alive"]]
        count = sum(int(node["GPU"] if gpus else node["CPU"] // threads) for node in nodes)
        if not count:
            raise UsageError(
                "no node of the cluster has a GPU; write --device cpu, or start ray with --num-gpus"
                if gpus
                else f"no node of the cluster has the {threads} cores of a worker; set OMP_NUM_THREADS to fewer"
            )
        actor = ray.remote(Actor).options(num_cpus=threads, num_gpus=gpus, max_restarts=-1)
        facts = (self.rebuild, request.batch, Path.cwd(), fingerprint(request), threads)
        return [Hand(actor.remote(*facts)) for _ in range(min(count, most))]


def first_done(calls: list[Any]) -> Any:
    """A call that has come to an end, waited for; a warning now and then while there is none and nothing says why."""
    while not (done := ray.wait(calls, timeout=PATIENCE)[0]):
        free = {kind: amount for kind, amount in ray.available_resources().items() if kind in ("CPU", "GPU")}
        log.warning("no word from %d workers for %.0f min; free in the cluster: %s", len(calls), PATIENCE / 60, free)
    return done[0]


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())
