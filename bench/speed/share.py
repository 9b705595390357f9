"""How near our code comes to the forward passes that it cannot do without."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial

import torch

from bench.core.metric import METRICS, ScoreMetric
from bench.core.protocols import protocol
from bench.speed import ours
from bench.speed.compare import Row
from bench.speed.given import Given
from bench.speed.measurement import Patience, Stopwatch, interleave, ratio
from bench.speed.works import STEPS

MAPS = 12
METRIC_NAMES = ("AD", "AG", "AI", "I", "D")
BARE = 0.25
"""Bare forwards in a round, as a part of those that the work makes in it."""
CHUNK = 64
"""Masked images that Score-CAM passes at a time."""


def scorer_share(given: Given, watch: Stopwatch, maps: int = MAPS, steps: int = STEPS) -> Row:
    """Images per second of scoring AD, AG, AI, I and D of `maps` maps per image over those of bare forwards.

    A chunk of `given.batch` images, as in a run. A round is one map of every image, then bare forwards; the first also
    scores what all maps share, the images untouched and replaced as a whole. Bare forwards are `Classifier.score`, the
    fastest there is, on a buffer of the same shape.
    """
    chunk = given.first(min(given.batch, len(given.images))).scoring
    net, batch, size = chunk.classifier, chunk.batch, chunk.classifier.input_size
    rules = protocol(f"clean+steps={steps}")
    values = (METRICS[name].value for name in METRIC_NAMES)
    asked = [metric for metric in values if isinstance(metric, ScoreMetric)]
    derived = sum({metric.derive: metric.n_derived(rules) for metric in asked}.values())
    shared = (2 if net.scoring_key else 1) + len({metric.whole_fill(rules) for metric in asked if metric.whole_fill})
    drawn = torch.rand(maps, batch, size, size, generator=torch.Generator().manual_seed(0)).to(net.device)
    buffer = chunk.images.contiguous(memory_format=net.precision.layout)
    forwards = max(1, round(BARE * derived))

    @torch.inference_mode()
    def bare() -> None:
        for _ in range(forwards):
            net.score(buffer)

    bare()
    rounds = ours.scorings(chunk, list(drawn), METRIC_NAMES, rules)
    scoring, alone = list[float](), list[float]()
    for i in range(maps):
        images = batch * (derived + (shared if i == 0 else 0))
        scoring.append(watch.time(partial(next, rounds))[0] / images)
        alone.append(watch.time(bare)[0] / (batch * forwards))
    images = batch * (maps * derived + shared)
    note = f"share of raw forward throughput; {maps} maps × {derived} derived images of a chunk of {batch} images"
    return row("scoring", scoring, alone, images, note)


def score_cam_share(given: Given, patience: Patience, watch: Stopwatch) -> Row:
    """Images per second of Score-CAM over those of bare forwards: 1 would be the bound that its live channels set.

    Counted are its own passes: one for the maps and one for every live channel that differs from the others. Bare
    forwards are `Classifier.logits`, the pass it makes, on a buffer of as many images at a time.
    """
    one = given.first(1)
    net = one.classifier
    call = partial(ours.explain, one, f"score-cam(chunk={CHUNK})")
    with net.tally() as tally:
        warm = watch.time(call)[0]
    passes, channels = tally.forward, net.features(one.images).shape[1]
    buffer = one.images.repeat(min(CHUNK, passes), 1, 1, 1)
    forwards = max(1, round(BARE * passes / len(buffer)))

    @torch.no_grad()
    def bare() -> None:
        for _ in range(forwards):
            net.logits(buffer)

    taken = interleave({"ours": call, "bare": bare}, patience, watch, {"ours": warm, "bare": watch.time(bare)[0]})
    scoring = [seconds / passes for seconds in taken["ours"]]
    alone = [seconds / (forwards * len(buffer)) for seconds in taken["bare"]]
    note = f"share of raw forward throughput; {passes} passes for {channels} channels"
    return row("score-cam", scoring, alone, passes, note)


def row(work: str, scoring: Sequence[float], alone: Sequence[float], images: int, note: str) -> Row:
    found = ratio(scoring, alone)
    return Row(work, "bare forwards", found.median, found.low, found.high, statistics.median(scoring),
               statistics.median(alone), images, len(scoring), note=note)  # fmt: skip
