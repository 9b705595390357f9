"""What a run will cost, printed before it starts."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import torch

from bench.core.errors import FOREIGN_ERRORS, UsageError, foreign, reason
from bench.core.metric import ScoreMetric
from bench.run.request import Request
from bench.scoring.sources import Source


class Work(NamedTuple):
    """What is still to do of a source."""

    images: int
    metrics: frozenset[str]
    """Their tags."""


def estimate(request: Request, sources: Sequence[Source], work: Mapping[tuple[str, bool], Work]) -> str:
    """Passes still to make per source, and their time at the speed of a short trial.

    A backward pass counts as two forwards; `work` is what is still to do by source label and whether its maps are
    stored, so that nothing is explained.
    """
    costs = {source.label: source.cost(request.classifier) for source in sources}
    if not work:
        return "everything asked for is stored already"
    width = max(len(label) for label, _ in work)
    lines, total = [], 0.0
    for (label, stored), (images, metrics) in work.items():
        scoring = scoring_passes(request, metrics)
        explaining = "stored maps" if stored else f"{costs[label]} to explain"
        lines.append(f"  {label:<{width}}  {images:>6} images × ({explaining} + {scoring}F to score)")
        total += images * (scoring + (0 if stored else costs[label].total))
    return "\n".join(
        ["to compute:", *lines, f"  ≈{total:,.0f} forward passes, about {duration(total * speed(request))}"]
    )


def scoring_passes(request: Request, tags: Collection[str] | None = None) -> int:
    """Forward passes per image and source for the metrics, all of them or those of the tags; those that derive the same
    images share their passes."""
    asked = [metric for metric in request.metrics if tags is None or metric.tag in tags]
    return sum(
        {(m.derive, m.judge): m.n_derived(request.protocol) for m in asked if isinstance(m, ScoreMetric)}.values()
    )


def shared_passes(request: Request) -> int:
    """Forward passes per image for what all sources share: the untouched image, at a scoring precision as well, and the
    ends of curves."""
    asked = [metric for metric in request.metrics if isinstance(metric, ScoreMetric)]
    ends = {(metric.whole_fill(request.protocol), metric.judge) for metric in asked if metric.whole_fill}
    again = 1 if request.classifier.scoring_key else 0
    return len({"", *(metric.judge for metric in asked)}) + again + len(ends)


@torch.inference_mode()
def speed(request: Request) -> float:
    """Seconds per image of a forward pass in the run's batch shape: the second of two, the first warms up."""
    net = request.classifier
    images = torch.zeros(request.batch, 3, net.input_size, net.input_size, device=net.device, dtype=net.dtype)
    try:
        net.score(images).cpu()
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise UsageError(f"no memory for batches of {request.batch}; try a smaller --batch-size") from error
    except FOREIGN_ERRORS as error:
        if not foreign(error):
            raise
        raise UsageError(f"{net.name} fails on a batch of {request.batch} black images: {reason(error)}") from error
    start = time.perf_counter()
    net.score(images).cpu()
    return (time.perf_counter() - start) / request.batch


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
