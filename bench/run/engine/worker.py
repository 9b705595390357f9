"""Carries out units in the process that it lives in."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from bench.core.device import device_name
from bench.core.errors import FOREIGN_ERRORS, Skip, UsageError, foreign, reason
from bench.run.engine.unit import Outcome, Unit, UnitResult
from bench.run.images import load_items
from bench.run.request import Request
from bench.run.store import read_maps
from bench.scoring.evaluate import evaluate
from bench.scoring.guard import Changed, Guard
from bench.scoring.scorer import Scorer
from bench.scoring.sources import Item


class Worker:
    """A request with its classifier in memory, and the pixels of the chunk that was asked for last."""

    def __init__(self, request: Request):
        self.request = request
        self.context = replace(request.context, guard=Guard(request.classifier))
        self.samples = {sample.id: sample for sample in request.dataset.samples}
        self.sources = {source.label: source for source in request.sources}
        self.metrics = {metric.tag: metric for metric in request.metrics}
        self._chunk: tuple[int, list[Item], torch.Tensor, dict[str, str]] | None = None

    def carry_out(self, unit: Unit) -> UnitResult:
        """One source on one chunk; what the source raises becomes the answer's outcome.

        All images of the chunk are computed, so that each keeps its place in every batch.
        """
        if self._chunk is None or self._chunk[0] != unit.chunk:
            self._chunk = unit.chunk, *self.load(unit.images, unit.clean)
        _, items, clean, gone = self._chunk
        if not items:
            return UnitResult(gone=gone)
        known = None if unit.clean else tuple(clean.numpy())
        source, metrics = self.sources[unit.source], [self.metrics[tag] for tag in unit.metrics]
        failures: dict[str, str] = {}
        try:
            stored, half = self.stored_maps(unit, items)
            rows, maps = evaluate(self.context, source, items, clean, metrics, failures, stored)
        except Skip as why:
            return UnitResult(Outcome("skipped", str(why)), clean=known, gone=gone)
        except (torch.OutOfMemoryError, MemoryError):
            tip = f"with batches of {self.request.batch} images; try a smaller --batch-size"
            return UnitResult(Outcome("out of memory", tip), clean=known, gone=gone)
        except FOREIGN_ERRORS as error:
            self.leave_nothing_behind()
            if not foreign(error):
                raise
            failed = Outcome("failed", reason(error))
            return UnitResult(failed, clean=known, gone=gone, traceback=traceback.format_exc())
        facts = {
            **({"rounded": True} if half else {}),
            "method": source.label,
            "batch": self.request.batch,
            "device": device_name(self.request.classifier.device),
        }
        return UnitResult(rows=[facts | row for row in rows], maps=maps, clean=known, gone=gone, failures=failures)

    def stored_maps(self, unit: Unit, items: Sequence[Item]) -> tuple[list[torch.Tensor] | None, bool]:
        """The raw maps of the items as they were explained before, and whether they are rounded to float16; None where
        one is not there any more."""
        if not unit.maps:
            return None, False
        files = {key: stored.file for key, stored in zip(unit.keys, unit.maps, strict=True)}
        found = read_maps(self.request.out, files)
        peaks = dict(zip(unit.keys, (stored.peak for stored in unit.maps), strict=True))
        keys = dict(zip(unit.images.id, unit.keys, strict=True))
        if any(keys[item.id] not in found for item in items):
            return None, False
        chosen = [keys[item.id] for item in items]
        half = any(found[key].dtype != torch.float32 for key in chosen)
        return [found[key].float() * peaks[key] for key in chosen], half

    def leave_nothing_behind(self) -> None:
        """Put back what a failed explainer has changed; why it failed is told already."""
        if self.context.guard:
            with suppress(Changed):
                self.context.guard.check(deep=True)

    def load(
        self, images: pd.DataFrame, known: Sequence[np.ndarray] | None = None
    ) -> tuple[list[Item], torch.Tensor, dict[str, str]]:
        """Images of the run's list and their (B, C) float64 log-probabilities at the net's own precision, computed
        unless they are known; and why some are not what the list says any more, by id."""
        items, gone = load_items(self.request, self.samples, images)
        if not items:
            return [], torch.empty(0, self.request.classifier.num_classes, dtype=torch.float64), gone
        if known:
            kept = [log_p for image, log_p in zip(images.id, known, strict=True) if image not in gone]
            return items, torch.from_numpy(np.stack(kept)), gone
        scorer = Scorer(self.request.classifier.exact, self.request.batch)
        try:
            return items, scorer.score([item.image[None] for item in items]), gone
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise UsageError(f"no memory for batches of {self.request.batch}; try a smaller --batch-size") from error
        except FOREIGN_ERRORS as error:
            if not foreign(error):
                raise
            name = self.request.classifier.name
            raise UsageError(f"{name} fails on the images {items[0].id} … {items[-1].id}: {reason(error)}") from error
