"""A judge: another network that scores what metrics derived from the images, so that what fools only one shows."""

from __future__ import annotations

import dataclasses
from pathlib import PurePath

from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from bench.core.metric import Metric, ScoreMetric
from bench.core.seeds import content_hash


class Judge:
    """A second classifier, asked for the probability of the explained class in the very pixels that the explained one
    is asked about; each normalises them by itself.

    Raises UsageError unless both take images of one size and know as many classes.
    """

    def __init__(self, classifier: Classifier, explained: Classifier):
        for what, own, other in (
            ("takes images of size", classifier.input_size, explained.input_size),
            ("has a number of classes of", classifier.num_classes, explained.num_classes),
        ):
            if own != other:
                raise UsageError(
                    f"judge {classifier.name} {what} {own}, {explained.name} {other}; name another with --judge"
                )
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
