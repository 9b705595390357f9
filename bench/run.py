"""A run: jobs for what is not stored yet, the timing pass, and the leaderboard of what was asked."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from bench.core.errors import Skip
from bench.estimate import estimate
from bench.evaluate import evaluate
from bench.images import Images
from bench.request import Request
from bench.results import Outcome, leaderboard
from bench.scorer import Scorer
from bench.sources import Item, Source
from bench.store import Store, missing, write_json
from bench.timing import device_name, time_sources

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """A request carried out: its images, its store and what became of each source."""

    images: Images
    store: Store
    outcomes: dict[str, Outcome]

    @property
    def failed(self) -> bool:
        return any(outcome.status in ("failed", "out of memory") for outcome in self.outcomes.values())


def run(request: Request) -> bool:
    """Carry out a request, print its leaderboard and write it to `request.out`; returns whether some method failed."""
    finished = carry_out(request)
    table = leaderboard(request, finished.images, finished.store, finished.outcomes)
    table.write(request.out)
    write_json(request.out / "run.json", dict(table.provenance))
    print(table.text())
    return finished.failed


def carry_out(request: Request) -> Finished:
    """Compute what is asked for and not stored yet, the timing pass included."""
    images, store = Images(request), Store(request.out)
    outcomes = {source.label: applicable(source, request, images) for source in request.sources}
    active = [source for source in request.sources if outcomes[source.label].status == "ok"]
    if request.compute:
        state = State(request, images, store, outcomes)
        state.compute(active)
        active = [source for source in active if outcomes[source.label].status == "ok"]
        if request.timing:
            first = images.table.iloc[: max(request.batch, 20)]
            time_sources(request, store, active, lambda: state.load(first))
    return Finished(images, store, outcomes)


def applicable(source: Source, request: Request, images: Images) -> Outcome:
    """Whether a source can run on this classifier, under this protocol's cap on passes."""
    cap = request.protocol.max_passes
    reason = source.skip(request.classifier, images)
    if reason is None and cap and (cost := source.cost(request.classifier).total) > cap:
        reason = f"needs ≈{cost:.0f} passes an image; {request.protocol.name} allows {cap}"
    return Outcome("skipped", reason) if reason else Outcome()


@dataclass
class State:
    """A request under way: its images, its store and what became of each source so far."""

    request: Request
    images: Images
    store: Store
    outcomes: dict[str, Outcome]
    log_probabilities: dict[str, np.ndarray] = field(default_factory=dict)

    def compute(self, sources: Sequence[Source]) -> None:
        """Every job that adds something: chunk by chunk, all sources on the same decoded images."""
        request = self.request
        if not request.force:
            self.log_probabilities.update(self.store.rows("clean").get("log_probabilities", {}))
        stored = self.store.rows("scores").iloc[: 0 if request.force else None]
        tags = {metric.tag for metric in request.metrics}
        gaps = {s.label: missing(stored, self.keys(s, self.images.table), tags) for s in sources}
        print(estimate(request, sources, {label: len(keys) for label, keys in gaps.items()}), flush=True)
        todo = sum(map(len, gaps.values()))
        with tqdm(total=todo, unit="map", disable=not todo, dynamic_ncols=True) as bar:
            for chunk in self.images.chunks():
                jobs = [s for s in sources if not gaps[s.label].keys().isdisjoint(self.keys(s, chunk))]
                if not jobs:
                    continue
                items, clean = self.load(chunk)
                for source in jobs:
                    bar.set_description(source.label)
                    if self.outcomes[source.label].status == "ok":
                        self.job(source, self.keys(source, chunk), items, clean, gaps[source.label])
                    bar.update(len(gaps[source.label].keys() & set(self.keys(source, chunk))))

    def keys(self, source: Source, table: pd.DataFrame) -> list[str]:
        return [self.request.score_key(source, self.images.samples[row.id], row.digest) for row in table.itertuples()]

    def load(self, chunk: pd.DataFrame) -> tuple[list[Item], torch.Tensor]:
        """The chunk's images and their (B, C) float64 log-probabilities, from the store where it has them."""
        items = self.images.load(chunk)
        keys = [self.request.clean_key(item.digest) for item in items]
        if not all(key in self.log_probabilities for key in keys):
            scorer = Scorer(self.request.classifier, self.request.batch)
            scores = scorer.score([item.image[None] for item in items]).numpy()
            rows = [{"key": key, "have": ["clean"], "image": item.id, "log_probabilities": log_p}
                    for key, item, log_p in zip(keys, items, scores, strict=True)]  # fmt: skip
            self.store.add("clean", rows)
            self.log_probabilities.update(zip(keys, scores, strict=True))
        return items, torch.from_numpy(np.stack([self.log_probabilities[key] for key in keys]))

    def job(
        self, source: Source, keys: list[str], items: list[Item], clean: torch.Tensor, gaps: dict[str, set[str]]
    ) -> None:
        """One source on one chunk; a failure ends this source and nothing else.

        All images of the chunk are computed, so that each keeps its place in every batch; what lacked is stored.
        """
        wanted = set().union(*(gaps.get(key, ()) for key in keys))
        metrics = [metric for metric in self.request.metrics if metric.tag in wanted]
        try:
            rows, maps = evaluate(self.request.setting, source, items, clean, metrics)
        except Skip as reason:
            outcome = Outcome("skipped", str(reason))
        except (torch.OutOfMemoryError, MemoryError):
            outcome = Outcome(
                "out of memory", f"with batches of {self.request.batch} images; try a smaller --batch-size"
            )
        except Exception as error:
            log.debug("%s failed", source.label, exc_info=True)
            outcome = Outcome("failed", " ".join(f"{type(error).__name__}: {error}".split()))
        else:
            facts = {"method": source.label, "batch": self.request.batch, "device": device_name(clean.device)}
            new = [key for key in keys if key in gaps]
            by_key = {key: {"key": key, **facts, **row} for key, row in zip(keys, rows, strict=True)}
            self.store.add("scores", [by_key[key] for key in new], {key: maps[by_key[key]["image"]] for key in new})
            return
        self.outcomes[source.label] = outcome
        tqdm.write(f"{source.label}: {outcome.status}: {outcome.reason}")
