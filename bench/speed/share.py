"""The scorer's share of the classifier's own throughput."""

from __future__ import annotations

import dataclasses
import statistics

import torch

from bench.core.metric import METRICS
from bench.speed import ours
from bench.speed.compare import Row
from bench.speed.given import Given
from bench.speed.measurement import Patience, Stopwatch, interleave, ratio
from bench.speed.works import STEPS

MAPS = 12
METRIC_NAMES = ("AD", "AG", "AI", "I", "D")


def scorer_share(given: Given, patience: Patience, watch: Stopwatch, maps: int = MAPS, steps: int = STEPS) -> Row:
    """Images a second of scoring AD, AG, AI, I and D of `maps` maps an image, over images a second of bare forwards.

    The bare forwards are `Classifier.score`, the fastest there is, on a buffer of the same shape, a twelfth as many.
    The batch is the multiple of what one map derives, so that the shares of bigger runs, with their full chunks, and of
    this one are alike; what is left of padding, and the ends of the curves, asked once for all maps, count against us.
    """
    rules = ours.curve_rules(steps)
    asked = [METRICS[name].value for name in METRIC_NAMES]
    derived = sum({m.probe: m.probes(rules) for m in asked}.values())
    batch = fitting(derived, given.batch)
    one = dataclasses.replace(given.scoring.first(1), batch=batch)
    net, size = one.classifier, one.classifier.input_size
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.rand(1, size, size, generator=generator).to(one.images) for _ in range(maps)]
    buffer = one.images.repeat(batch, 1, 1, 1).contiguous(memory_format=net.precision.layout)
    forwards = max(1, -(-maps * derived // (batch * MAPS)))

    @torch.inference_mode()
    def bare() -> None:
        for _ in range(forwards):
            net.score(buffer)

    calls = {"scoring": lambda: ours.score(one, drawn, METRIC_NAMES, rules), "bare": bare}
    taken = interleave(calls, patience, watch, {name: watch.time(call)[0] for name, call in calls.items()})
    scoring = [seconds / (maps * derived) for seconds in taken["scoring"]]
    alone = [seconds / (forwards * batch) for seconds in taken["bare"]]
    found = ratio(scoring, alone)
    note = f"share of raw forward throughput; {maps} maps × {derived} derived images in batches of {batch}"
    return Row("scoring", "bare forwards", found.median, found.low, found.high, statistics.median(scoring),
               statistics.median(alone), maps * derived, len(scoring), note=note)  # fmt: skip


def fitting(derived: int, batch: int) -> int:
    """The largest batch up to `batch` that divides the derived images of a map; at least half of `batch`, else `batch`
    itself."""
    sizes = [size for size in range(batch // 2 + 1, batch + 1) if derived % size == 0]
    return max(sizes, default=batch)
