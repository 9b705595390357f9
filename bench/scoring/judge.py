"""Judges: other networks that score what metrics derived from the images, so that what fools only one shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import PurePath

from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from bench.core.metric import Metric, PanelMetric, ScoreMetric
from bench.core.seeds import content_hash
from bench.data.labels import check_same_classes


class Judge:
    """A second classifier, asked for the probability of the explained class in the very pixels that the explained one
    is asked about; each normalises them by itself, and one that takes images of another size sees them resized.

    Raises UsageError unless both name the same classes.
    """

    def __init__(self, classifier: Classifier, explained: Classifier):
        check_same_classes("judge", classifier, explained)
        self.classifier = classifier
        self.name = PurePath(classifier.name).name
        self.key = content_hash(
            classifier.name,
            classifier.digest,
            classifier.mean.tolist(),
            classifier.std.tolist(),
            classifier.dtype,
            *classifier.key,
        )[:16]

    def metric(self, metric: Metric) -> Metric:
        """`metric` with the judge's answers in place of the explained network's, as a column `AD (resnet18)`.

        Raises UsageError for a metric that scores no derived images.
        """
        if not isinstance(metric, ScoreMetric):
            raise UsageError(f"a judge scores derived images, and {metric.name} has none; leave it out of --judged")
        title = f"{metric.title}, judge {self.name}"
        return dataclasses.replace(metric, name=f"{metric.name} ({self.name})", title=title, judge=self.key)

    def helped(self, helpers: Sequence[str]) -> bool:
        """Whether it is among the networks, by the digest of their weights, that helped to make a map."""
        return self.classifier.digest in helpers


def judged(metrics: Sequence[Metric], judges: Sequence[Judge]) -> tuple[list[Metric], list[PanelMetric]]:
    """The columns of the judges, and those of their panel where there are several.

    The panel's value for an image is the mean over its judges. Rows are ranked by the panel, not by each of its judges
    again. Raises UsageError for a metric that no judge can score and for two judges of one name.
    """
    names = [judge.name for judge in judges]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"judge {twice[0]} is there twice; name each judge once")
    several = len(judges) > 1
    columns = [[judge.metric(metric) for judge in judges] for metric in metrics]
    panel = [panel_metric(metric, parts) for metric, parts in zip(metrics, columns, strict=True) if several]
    return [dataclasses.replace(part, ranks=not several) for parts in columns for part in parts], panel


PANEL = "panel"


def panel_metric(metric: Metric, parts: Sequence[Metric]) -> PanelMetric:
    """The column `AD (panel)`: the mean over the judges' columns `parts`, image by image."""
    names = [part.name.partition(" (")[2].removesuffix(")") for part in parts]
    return PanelMetric(
        name=f"{metric.name} ({PANEL})", function=metric.function, better=metric.better,
        title=f"{metric.title}, mean over the judges {', '.join(names)}", paper=metric.paper, scale=metric.scale,
        bounds=(0.0, 1.0) if metric.rate else metric.bounds, parts=tuple(part.name for part in parts),
        judge=content_hash(*(part.judge for part in parts))[:16],
    )  # fmt: skip
