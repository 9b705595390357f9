"""The judges of a run: those that it names, or the embedded networks beside an embedded one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.classifiers.load import load_classifier
from bench.core.architecture import CLASSIFIERS
from bench.core.classifier import Classifier
from bench.core.spec import split_list
from bench.run.config import RunConfig
from bench.scoring.judge import Judge

NOBODY = "none"
EMBEDDED = "embedded"


def named_judges(config: RunConfig) -> list[str]:
    """The networks that the configuration names."""
    return [] if config.judges == NOBODY else list(dict.fromkeys(split_list(config.judges or "")))


def load_judges(
    config: RunConfig, classifier: Classifier, weights_of: Callable[[RunConfig, str], Path | None]
) -> tuple[Judge, ...]:
    """The named judges, each with the weights that `weights_of` finds, or the usual ones.

    Raises UsageError for a network that does not exist or names other classes than the explained one.
    """
    names = named_judges(config) if config.judges else usual_judges(classifier)
    nets = (load_classifier(name, weights=weights_of(config, name), device=classifier.device) for name in names)
    return tuple(Judge(net, classifier) for net in nets)


def usual_judges(classifier: Classifier) -> list[str]:
    """The embedded networks, which cost no download, beside an embedded one; none for any other."""
    if not classifier.origin.startswith(EMBEDDED):
        return []
    return [entry.name for entry in CLASSIFIERS if entry.origin == EMBEDDED and entry.name != classifier.name]
