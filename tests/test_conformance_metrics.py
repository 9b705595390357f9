"""What every registered metric must keep to; new metrics are found by their registration."""

from __future__ import annotations

import math

import pytest
import torch

import metrics  # noqa: F401 - registers
from bench.core.explainer import Explainer
from bench.core.metric import METRICS, Metric, ScoreMetric
from bench.core.protocols import PROTOCOLS, protocol
from bench.core.registry import Registry
from bench.scoring.evaluate import ScoringContext, evaluate
from bench.scoring.scorer import Scorer
from bench.scoring.sources import ExplainerSource, Item
from tests.toys import CLASSES, photo, toy_classifier

MASK = torch.zeros(32, 32, dtype=torch.uint8)
MASK[6:26, 4:20] = 1
MASK[26:28] = 255
BOXES = torch.tensor([[4.0, 6.0, 20.0, 26.0], [-3.0, 10.0, 9.0, 40.0]])


def mean_of_maps(classifier, images, targets):
    return classifier.features(images).mean(1)


def constant(classifier, images, targets):
    return torch.ones(len(images), 4, 4)


def source(function) -> ExplainerSource:
    registry: Registry[Explainer] = Registry("method")
    registry.add("test-map", Explainer(function, paper="none"), signature_of=function)
    return ExplainerSource(registry.spec("test-map"))


def items(n: int) -> list[Item]:
    return [Item(str(i), f"digest {i}", image, i % CLASSES, BOXES, MASK) for i, image in enumerate(photo(n))]


def values(metric: Metric, name: str, subjects: list[Item], batch: int = 4, function=mean_of_maps) -> list[float]:
    context = ScoringContext(toy_classifier("gap_linear"), protocol(name), 0, batch)
    found = []
    for start in range(0, len(subjects), batch):
        part = subjects[start : start + batch]
        clean = Scorer(context.classifier, batch).score([item.image[None] for item in part])
        rows, _ = evaluate(context, source(function), part, clean, [metric])
        found += [row[metric.name] for row in rows]
    return found


every_metric = pytest.mark.parametrize("metric", [entry.value for entry in METRICS], ids=lambda metric: metric.name)


@every_metric
@pytest.mark.parametrize("name", [entry.name for entry in PROTOCOLS])
def test_values_are_finite_repeatable_and_leave_the_image_alone(metric, name):
    subjects = items(3)
    before = [item.image.clone() for item in subjects]
    first = values(metric, name, subjects)
    assert all(map(math.isfinite, first))
    assert values(metric, name, subjects) == first
    assert all(torch.equal(item.image, old) for item, old in zip(subjects, before, strict=True))


@every_metric
def test_an_image_does_not_see_its_batch_mates(metric):
    subjects = items(5)
    together = values(metric, "clean+steps=4", subjects, batch=5)
    assert values(metric, "clean+steps=4", subjects, batch=2) == pytest.approx(together, abs=1e-4)
    backward = values(metric, "clean+steps=4", subjects[::-1], batch=5)[::-1]
    assert backward == pytest.approx(together, abs=1e-4)


@every_metric
def test_a_map_that_explains_nothing_has_a_value(metric):
    assert all(map(math.isfinite, values(metric, "clean+steps=4", items(2), function=constant)))


@every_metric
def test_facts_are_stated(metric):
    assert metric.title
    assert metric.paper
    assert metric.function.__doc__
    if isinstance(metric, ScoreMetric):
        assert metric.n_derived(protocol("clean")) > 0


@every_metric
def test_the_announced_number_of_derived_images_is_made(metric):
    if not isinstance(metric, ScoreMetric):
        pytest.skip("makes no derived images")
    classifier = toy_classifier("gap_linear")
    context, subjects = ScoringContext(classifier, protocol("clean+steps=4"), 0, 1), items(1)
    clean = Scorer(classifier, 1).score([subjects[0].image[None]])
    with classifier.tally() as tally:
        evaluate(context, source(constant), subjects, clean, [metric])
    assert tally.forward == metric.n_derived(context.protocol) + bool(metric.whole_fill)
    with classifier.tally() as tally:
        evaluate(context, source(constant), subjects, clean, [metric])
    assert tally.forward == metric.n_derived(context.protocol), "an end is asked once for all sources"
