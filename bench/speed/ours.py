"""Our side of each comparison, as a run of the benchmark calls it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.core.explainer import EXPLAINERS
from bench.core.metric import METRICS, Metric
from bench.core.protocols import Protocol, protocol
from bench.data.maps import PrecomputedMaps
from bench.scoring.evaluate import ScoringContext, evaluate
from bench.scoring.normalise import normalise
from bench.scoring.scorer import Scorer
from bench.scoring.sources import ExplainerSource, Item, MapsSource
from bench.speed.given import Given

MEAN_FILLS = "clean+deletion_end=mean+insertion_start=mean+maps=as-is+masked_out=mean"
"""What users of other libraries do: masked pixels of normalised images are 0, the mean colour."""


def finish(raw: Tensor, size: int) -> Tensor:
    """(B, h, w) raw maps to (B, size, size) float32 maps in [0, 1]: what both sides end with."""
    return normalise(raw.detach().float(), size, "two-step")[0]


def explain(given: Given, spec: str) -> Tensor:
    """(B, S, S) maps in [0, 1] of a registered explainer, `score-cam(variant=torch-cam)`."""
    source = ExplainerSource(EXPLAINERS.spec(spec))
    raw = source.explain(given.classifier, given.images, given.targets, [0] * len(given.images))
    return finish(raw, given.classifier.input_size)


class MapsInMemory(PrecomputedMaps):
    """Maps that are at hand, by image id."""

    def __init__(self, maps: dict[str, Tensor]) -> None:
        self.maps = maps

    def missing(self, ids: object) -> list[str]:
        return []

    def load(self, image_id: str) -> Tensor:
        return self.maps[image_id]

    def digest(self, image_id: str) -> str:
        return image_id


def score(given: Given, maps: Sequence[Tensor], names: Sequence[str], rules: Protocol) -> dict[str, Tensor]:
    """Metric values (M, B) of M maps (B, S, S) of each image by name, and curves (M, B, n) by NAME_vector.

    `p` is the probability of the untouched image.
    """
    found: dict[str, list[Tensor]] = {}
    for rows in scorings(given, maps, names, rules):
        for column in (c for c in ("p", *names, *(f"{name}_vector" for name in names)) if c in rows[0]):
            found.setdefault(column, []).append(torch.tensor(np.array([row[column] for row in rows])))
    return {column: torch.stack(values) for column, values in found.items()}


def scorings(
    given: Given, maps: Sequence[Tensor], names: Sequence[str], rules: Protocol
) -> Iterator[list[dict[str, Any]]]:
    """The rows of each of M maps (B, S, S) in turn. The untouched images, and the images that are the same for all
    maps, are scored with the first, once, as in a run."""
    metrics: list[Metric] = [METRICS[name].value for name in names]
    given = given.scoring
    classifier = given.classifier
    setting = ScoringContext(classifier, rules, 0, given.batch)
    items = [Item(str(i), str(i), image, None, None) for i, image in enumerate(given.images)]
    clean = Scorer(classifier.exact, given.batch).score([given.images])
    for saliency in maps:
        source = MapsSource(MapsInMemory({str(i): m for i, m in enumerate(saliency)}), "given")
        yield evaluate(setting, source, items, clean, metrics)[0]


def untied(maps: Tensor) -> Tensor:
    """(B, S, S) ranks of each map's pixels, scaled to [0, 1]: no two are equal, so that every library ranks alike."""
    order = maps.flatten(1).argsort(dim=1, stable=True)
    ranks = torch.linspace(0, 1, order.shape[1]).to(maps).expand(order.shape)
    return torch.empty_like(ranks).scatter_(1, order, ranks).view_as(maps)


def curve_rules(steps: int) -> Protocol:
    return protocol(f"{MEAN_FILLS}+steps={steps}")


def average_drop(given: Given, maps: Tensor) -> Tensor:
    """(2, B): average drops, and the probabilities of the untouched images."""
    values = score(given, [maps], ["AD"], curve_rules(28))
    return torch.stack([values["AD"][0], values["p"][0]])


def areas(given: Given, maps: Tensor, steps: int) -> Tensor:
    """(2, B): insertion and deletion areas."""
    values = score(given, [maps], ["I", "D"], curve_rules(steps))
    return torch.stack([values["I"][0], values["D"][0]])


def deletion_means(given: Given, maps: Tensor, steps: int) -> Tensor:
    """(B,) mean class probability over the steps of a deletion, the untouched image left out."""
    return score(given, [maps], ["D"], curve_rules(steps))["D_vector"][0][:, 1:].mean(1)
