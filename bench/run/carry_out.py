"""Units of work for what is not stored yet, the timing pass, and the leaderboard of what was asked."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from bench.core.errors import FOREIGN_ERRORS, Skip, UsageError, foreign
from bench.core.errors import reason as why_of
from bench.core.files import write_json
from bench.core.metric import Metric, ReExplainMetric
from bench.core.progress import progress
from bench.run.engine.local import LocalEngine
from bench.run.engine.unit import Engine, Outcome, StoredMap, Unit, UnitResult
from bench.run.engine.worker import Worker
from bench.run.estimate import Work, estimate
from bench.run.images import Images
from bench.run.precision_budget import Budget, error_budget, stated
from bench.run.provenance import provenance, run_facts
from bench.run.request import Request
from bench.run.store import Store, missing
from bench.run.table_of_request import asked_rows, leaderboard
from bench.run.timing import time_sources
from bench.scoring.sources import Item, Source
from bench.tables.leaderboard import Leaderboard

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CompletedRun:
    """A request carried out: its images, its store and what became of each source."""

    request: Request
    images: Images
    store: Store
    outcomes: dict[str, Outcome]
    budget: Budget | None = None
    lost: dict[tuple[str, str], str] = field(default_factory=dict)
    """By source and metric: why a column, or the timing, was lost."""

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The stored rows that the request asked for, see `asked_rows`."""
        return asked_rows(self.request, self.images, self.store, self.outcomes)

    @property
    def scored(self) -> list[Source]:
        return [source for source in self.request.sources if self.outcomes[source.label].status == "ok"]

    @property
    def failed(self) -> bool:
        ended = any(outcome.status in ("failed", "out of memory") for outcome in self.outcomes.values())
        return ended or bool(self.lost)

    @property
    def remarks(self) -> list[str]:
        """A line for each metric and reason."""
        sources: dict[tuple[str, str], list[str]] = {}
        for (source, metric), why in self.lost.items():
            sources.setdefault((metric, why), []).append(source)
        return [f"{metric} failed for {', '.join(names)}: {why}" for (metric, why), names in sources.items()]


def result(request: Request, engine: Engine | None = None) -> tuple[CompletedRun, Leaderboard]:
    """A request carried out, and its leaderboard."""
    finished = carry_out(request, engine)
    for name, why in failing_pools(request, finished.rows).items():
        finished.lost[EVERY, name] = why
        request = replace(request, metrics=tuple(metric for metric in request.metrics if metric.name != name))
    board = leaderboard(request, finished.images, finished.store, finished.outcomes, finished.rows)
    table = stated(board, finished.budget)
    return finished, replace(table, notes=[*finished.remarks, *table.notes])


EVERY = "every method"


def failing_pools(request: Request, scores: pd.DataFrame) -> dict[str, str]:
    """Plug-in metrics whose values over images cannot be computed, by name, and why."""
    found = {}
    for metric in request.metrics:
        vectors = scores.get(f"{metric.name}_vector", pd.Series(dtype=object)).dropna()
        if metric.pool and metric.source and len(vectors):
            try:
                float(metric.pool(torch.from_numpy(np.stack(vectors.tolist()))))
            except FOREIGN_ERRORS as error:
                if not foreign(error):
                    raise
                found[metric.name] = why_of(error)
    return found


def carry_out(request: Request, engine: Engine | None = None) -> CompletedRun:
    """Compute what is asked for and not stored yet, the timing pass included."""
    images, store = Images(request), Store(request.out)
    if request.compute and not (request.out / "run.json").exists():
        facts_now = run_facts(request, provenance(request, images))
        write_json(request.out / "run.json", facts_now)  # whose folder it is, also after a kill
    budget = error_budget(request, images, store)
    outcomes = {source.label: applicable(source, request, images) for source in request.sources}
    lost: dict[tuple[str, str], str] = {}
    active = [source for source in request.sources if outcomes[source.label].status == "ok"]
    if request.compute:
        state = RunProgress(request, images, store, outcomes, lost)
        state.compute(active, engine or LocalEngine())
        active = [source for source in active if outcomes[source.label].status == "ok"]
        if request.timing:
            first = images.table.iloc[: max(request.batch, 20)]
            failed = time_sources(state.worker.context, request, store, active, lambda: state.load(first))
            lost |= {(label, "T"): why for label, why in failed.items()}
    return CompletedRun(request, images, store, outcomes, budget, lost)


def applicable(source: Source, request: Request, images: Images) -> Outcome:
    """Whether a source can run on this classifier, under this protocol's cap on passes; what its own facts raise ends
    it."""
    cap = request.protocol.max_passes
    try:
        reason = source.skip(request.classifier, images)
        if reason is not None:
            return Outcome("skipped", reason)
        cost = source.cost(request.classifier).total
        source.learned(request.classifier)
        source.helpers(request.classifier)
        source.key(images.ids[0])
    except UsageError:
        raise
    except Skip as why:
        return Outcome("skipped", str(why))
    except FOREIGN_ERRORS as error:
        if not foreign(error):
            raise
        return Outcome("failed", f"before it was called: {why_of(error)}")
    if cap and cost > cap:
        return Outcome("skipped", f"needs ≈{cost:.0f} passes per image; {request.protocol.name} allows {cap}")
    return Outcome()


@dataclass
class RunProgress:
    """A request under way: its images, its store and what became of each source so far."""

    request: Request
    images: Images
    store: Store
    outcomes: dict[str, Outcome]
    lost: dict[tuple[str, str], str]
    """By source and metric: why the metric failed."""
    log_probabilities: dict[str, np.ndarray] = field(default_factory=dict)
    """By content key of the untouched image."""
    ended: dict[str, int] = field(default_factory=dict)
    """Label of a source that failed, to the chunk on which it did."""

    def compute(self, sources: Sequence[Source], engine: Engine) -> None:
        """Every unit that adds something."""
        request = self.request
        if not request.force:
            self.log_probabilities.update(self.store.rows("clean").get("log_probabilities", {}))
        stored = self.store.rows("scores").iloc[: 0 if request.force else None]
        gaps = {
            s.label: missing(stored, self.images.score_keys(s), {metric.tag for metric in request.asked_of(s)})
            for s in sources
        }
        units = list(self.units(sources, gaps, stored))
        if request.progress:
            text = estimate(request, sources, work_of(units, gaps))
            print(text, flush=True, file=sys.stderr if request.view.json else None)
        if not units:
            return
        with (
            progress(
                total=sum(map(len, gaps.values())), unit="map", dynamic_ncols=True, disable=not request.progress
            ) as bar,
            closing(engine.carry_out(request, units, self.wanted)) as answers,
        ):
            for unit, answer in answers:
                bar.set_description(unit.source)
                self.images.leave_out(answer.gone)
                self.keep_clean(remaining(unit.images, answer.gone), answer.clean)
                if answer.outcome.status == "ok":
                    self.keep(unit, answer, gaps[unit.source])
                else:
                    self.end(unit, answer)
                bar.update(len(gaps[unit.source].keys() & set(unit.keys)))

    def units(
        self, sources: Sequence[Source], gaps: Mapping[str, Mapping[str, set[str]]], stored: pd.DataFrame
    ) -> Iterator[Unit]:
        """Chunk by chunk, every source of which a row lacks a metric: `gaps` has the lacking metrics' tags, by source
        and key. Each unit has the whole chunk, and every metric that one of its rows lacks."""
        known_maps = maps_in(stored)
        for chunk in self.images.chunks():
            place, clean = int(chunk.index[0]), self.known(chunk)
            for source in sources:
                keys = self.images.score_keys(source, chunk)
                lacking = set().union(*(gaps[source.label].get(key, ()) for key in keys))
                if lacking:
                    metrics = [metric for metric in self.request.metrics if metric.tag in lacking]
                    maps = reusable(keys, known_maps, metrics)
                    tags = tuple(metric.tag for metric in metrics)
                    yield Unit(source.label, place, chunk, tuple(keys), tags, clean, maps)

    def known(self, chunk: pd.DataFrame) -> tuple[np.ndarray, ...] | None:
        """The images' log-probabilities, if none is lacking."""
        found = [self.log_probabilities.get(key) for key in self.images.keys.clean_keys(chunk)]
        present = tuple(log_p for log_p in found if log_p is not None)
        return present if len(present) == len(found) else None

    def load(self, chunk: pd.DataFrame) -> tuple[list[Item], torch.Tensor]:
        """The chunk's images and their (B, C) float64 log-probabilities, from the store where it has them; those that
        have disappeared or changed are left out."""
        items, clean, gone = self.worker.load(chunk, self.known(chunk))
        self.images.leave_out(gone)
        self.keep_clean(remaining(chunk, gone), tuple(clean.numpy()))
        return items, clean

    @cached_property
    def worker(self) -> Worker:
        return Worker(self.request)

    def wanted(self, unit: Unit) -> bool:
        """A failure ends its source from that chunk on, and nothing else: the same in any order."""
        return unit.chunk < self.ended.get(unit.source, unit.chunk + 1)

    def keep_clean(self, chunk: pd.DataFrame, clean: Sequence[np.ndarray] | None) -> None:
        """Store log-probabilities that are not stored yet."""
        if clean is None or chunk.empty or self.known(chunk):
            return
        keys = self.images.keys.clean_keys(chunk)
        self.store.add("clean", [{"key": key, "have": ["clean"], "image": image, "log_probabilities": log_p}
                                 for key, image, log_p in zip(keys, chunk.id, clean, strict=True)])  # fmt: skip
        self.log_probabilities.update(zip(keys, clean, strict=True))

    def keep(self, unit: Unit, answer: UnitResult, gaps: Mapping[str, set[str]]) -> None:
        """Store the rows that lacked something, and their maps."""
        key_of = dict(zip(unit.images.id, unit.keys, strict=True))
        by_key = {key_of[row["image"]]: {"key": key_of[row["image"]], **row} for row in answer.rows}
        new = [key for key, row in by_key.items() if key in gaps and row["image"] not in self.images.gone]
        if new:
            maps = {key: answer.maps[by_key[key]["image"]] for key in new} if answer.maps else None
            self.store.add("scores", [by_key[key] for key in new], maps)
        names = {metric.tag: metric.name for metric in self.request.metrics}
        for tag, why in answer.failures.items():
            if (unit.source, names[tag]) not in self.lost:
                tqdm.write(f"{names[tag]} of {unit.source}: failed: {why}")
                self.lost[unit.source, names[tag]] = why

    def end(self, unit: Unit, answer: UnitResult) -> None:
        """What ended a source: of several failures the one on the earliest chunk."""
        if self.wanted(unit):
            log.debug("%s failed\n%s", unit.source, answer.traceback)
            tqdm.write(f"{unit.source}: {answer.outcome.status}: {answer.outcome.reason}")
            self.outcomes[unit.source], self.ended[unit.source] = answer.outcome, unit.chunk


def work_of(units: Sequence[Unit], gaps: Mapping[str, Mapping[str, set[str]]]) -> dict[tuple[str, bool], Work]:
    """Images and metrics still to do, by source and whether their maps are stored."""
    found: dict[tuple[str, bool], Work] = {}
    for unit in units:
        kind = unit.source, bool(unit.maps)
        before = found.get(kind, Work(0, frozenset()))
        images = len(gaps[unit.source].keys() & set(unit.keys))
        found[kind] = Work(before.images + images, before.metrics | set(unit.metrics))
    return found


def maps_in(stored: pd.DataFrame) -> dict[str, StoredMap]:
    """Where raw maps lie that can be scored again, by the key of their rows."""
    if "maps_file" not in stored or "map_peak" not in stored:
        return {}
    rows = stored[stored.maps_file.notna() & stored.map_peak.notna()]
    return {key: StoredMap(*where) for key, *where in zip(rows.index, rows.maps_file, rows.map_peak, strict=True)}


def reusable(keys: Sequence[str], known: Mapping[str, StoredMap], metrics: Sequence[Metric]) -> tuple[StoredMap, ...]:
    """The stored maps of a chunk, where none is lacking and no metric explains again by itself."""
    if any(isinstance(metric, ReExplainMetric) for metric in metrics):
        return ()
    found = tuple(known[key] for key in keys if key in known)
    return found if len(found) == len(keys) else ()


def remaining(chunk: pd.DataFrame, gone: Mapping[str, str]) -> pd.DataFrame:
    """The rows of the images that are still there."""
    return chunk[~chunk.id.isin(gone.keys())]
