"""The error budget: how far scoring at another precision moves the metrics, measured on a run's first images before it
starts, and refused above a tolerance."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from bench.core.device import device_name
from bench.core.errors import UsageError, plural
from bench.core.explainer import EXPLAINERS
from bench.core.metric import Metric, ScoreMetric
from bench.core.net.precision import Precision
from bench.core.seeds import content_hash
from bench.run.images import Images, load_items
from bench.run.request import Request
from bench.run.store import Store
from bench.scoring.evaluate import ScoringContext, evaluate
from bench.scoring.scorer import Scorer
from bench.scoring.sources import ExplainerSource, Item, Source
from bench.tables.leaderboard import REFERENCE, Leaderboard

IMAGES = 20
LAYOUT, ROUNDED = 0.01, 1.0
"""Points (percent) by which a mean over the images may move: where only the order of the arithmetic changes, and where
its dtype is a lower one. Single images have none: AD divides by p and AG by 1 - p, so that in bfloat16 one image moves
by up to 18 points where the means of 20 move by less than 1 (ResNet-18 and -50, 80 images each). EfficientNet-Lite0 has
an AD that moves as a whole, by 1.1, and is refused."""


@dataclass(frozen=True)
class Budget:
    """What a precision costs in exactness, against the net's own on the same maps."""

    precision: str
    images: int
    tolerance: float
    changes: dict[str, float]
    """Name to the largest absolute change of an image's value, in the table's units."""
    shifts: dict[str, float]
    """Name to the absolute change of the mean over the images, which is what a table shows."""
    flips: dict[str, int] = field(default_factory=dict)
    """Rates, which are 0 or 1 for an image, to the number of images for which they changed. They have no tolerance:
    the hair by which a probability moves flips them where a map changes nothing."""

    @property
    def exceeded(self) -> bool:
        return not all(shift <= self.tolerance for shift in self.shifts.values())

    def __str__(self) -> str:
        moved = [f"{name} {change:.2g} ({self.shifts[name]:.2g})" for name, change in self.changes.items()]
        flipped = [f"{name} flips on {count}" for name, count in self.flips.items()]
        return (
            f"scored in {self.precision}; largest change of an image's value (and of the mean) against float32 on "
            f"{plural(self.images, 'image')} with {REFERENCE}, in points: {', '.join([*moved, *flipped])} "
            f"(tolerance of a mean: {self.tolerance:g})"
        )


def error_budget(request: Request, images: Images, store: Store) -> Budget | None:
    """The budget of the request's precision, from the store or measured, stored and printed; None for the net's own
    precision, and where nothing may be computed and none is stored.

    Raises UsageError above the tolerance, and where the net cannot be scored at this precision at all.
    """
    net, first = request.classifier, images.table.iloc[: min(IMAGES, request.batch)]
    if not net.scoring_key:
        return None
    source = ExplainerSource(EXPLAINERS.spec(REFERENCE))
    metrics = [metric for metric in request.metrics if isinstance(metric, ScoreMetric) and not metric.judge]
    rows = images.score_keys(source, first)
    tags = [metric.tag for metric in metrics]
    key = content_hash("budget of means", str(net.precision), *rows, *tags, device_name(net.device), request.batch)
    stored = store.rows("budget")
    if key in stored.index and not request.force:
        budget = Budget(**json.loads(stored.budget[key]))
    elif not request.compute:
        return None
    else:
        items, gone = load_items(request, images.samples, first)
        if gone:
            images.leave_out(gone)
            return error_budget(request, images, store)
        budget = measured(request.context, source, items, metrics)
        store.add("budget", [{"key": key, "have": ["budget"], "budget": json.dumps(asdict(budget))}])
    if budget.exceeded:
        finer = " or take --dtype float16, which rounds finer" if net.precision.dtype == torch.bfloat16 else ""
        raise UsageError(f"the error budget is exceeded: {budget}; leave out {switches(net.precision)}{finer}")
    if request.progress:
        print(budget, flush=True)
    return budget


def stated(table: Leaderboard, budget: Budget | None) -> Leaderboard:
    """The table with its budget under it."""
    if budget is None:
        return table
    provenance = {**table.provenance, "scored in": budget.precision}
    return dataclasses.replace(table, notes=[*table.notes, str(budget)], provenance=provenance)


def facts(budget: Budget | None) -> dict[str, Any]:
    """What `run.json` says of it."""
    return {"error budget": asdict(budget)} if budget else {}


def measured(context: ScoringContext, source: Source, items: Sequence[Item], metrics: Sequence[Metric]) -> Budget:
    """Score the source's maps of the items at the classifier's precision and at its net's own."""
    net = context.classifier
    exact = scored(context, net.exact, source, items, metrics)
    try:
        rows = scored(context, net, source, items, metrics)
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # any operation of any net may lack a dtype, and a compiler may lack anything
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UsageError(
            f"{net.name} cannot be scored in {net.precision} on {net.device} ({reason}); "
            f"leave out {switches(net.precision)}"
        ) from error
    means = [metric for metric in metrics if not metric.rate]
    moved = {metric.name: abs(metric.scale) * differences(rows, exact, metric.name) for metric in means}
    flipped = {metric.name: differences(rows, exact, metric.name) != 0 for metric in metrics if metric.rate}
    return Budget(
        str(net.precision), len(items), LAYOUT if net.precision.dtype == net.dtype else ROUNDED,
        changes={name: float(np.abs(values).max()) for name, values in moved.items()},
        shifts={name: float(abs(values.mean())) for name, values in moved.items()},
        flips={name: int(values.sum()) for name, values in flipped.items()},
    )  # fmt: skip


def scored(
    context: ScoringContext, net: Any, source: Source, items: Sequence[Item], metrics: Sequence[Metric]
) -> list[dict[str, Any]]:
    clean = Scorer(net.exact, context.batch).score([item.image[None] for item in items])
    own = ScoringContext(net, context.protocol, context.run_seed, context.batch)
    return evaluate(own, source, items, clean, metrics)[0]


def differences(rows: Sequence[dict[str, Any]], exact: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    """By image; NaN, which no tolerance allows, where one side has no value."""
    return np.array([float(a[name]) - float(b[name]) for a, b in zip(rows, exact, strict=True)])


def switches(precision: Precision) -> str:
    """The flags that ask for it."""
    flags = {f"--dtype {str(precision.dtype).removeprefix('torch.')}": precision.dtype != torch.float32,
             "--channels-last": precision.channels_last, "--compile": precision.compiled}  # fmt: skip
    return " ".join(flag for flag, on in flags.items() if on)
