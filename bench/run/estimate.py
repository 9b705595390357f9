"""What a run will cost, printed before it starts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import torch

from bench.core.errors import FOREIGN_ERRORS, UsageError, foreign, reason
from bench.core.metric import ScoreMetric
from bench.run.request import Request
from bench.scoring.sources import Source


def estimate(request: Request, sources: Sequence[Source], images: Mapping[str, int]) -> str:
    """Passes still to make per source, and their time at the speed of a short trial.

    A backward pass counts as two forwards; `images` gives the images still to do by source label.
    """
    scoring = scoring_passes(request)
    costs = {source.label: source.cost(request.classifier) for source in sources if images[source.label]}
    if not costs:
        return "everything asked for is stored already"
    width = max(map(len, costs))
    lines = [f"  {label:<{width}}  {images[label]:>6} images × ({cost} to explain + {scoring}F to score)"
             for label, cost in costs.items()]  # fmt: skip
    total = sum(images[label] * (cost.total + scoring) for label, cost in costs.items())
    return "\n".join(
        ["to compute:", *lines, f"  ≈{total:,.0f} forward passes, about {duration(total * speed(request))}"]
    )


def scoring_passes(request: Request) -> int:
    """Forward passes per image and source for the metrics; those that derive the same images share their passes."""
    return sum(
        {
            (m.derive, m.judge): m.n_derived(request.protocol) for m in request.metrics if isinstance(m, ScoreMetric)
        }.values()
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
