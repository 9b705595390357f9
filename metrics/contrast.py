"""Contrast: does the map of another class differ?"""

from __future__ import annotations

from typing import Any

import torch

from bench.core.metric import Case, Explain, metric
from metrics.randomisation import rank_correlation

PAPER = "Torres Figueroa 2024 (thesis), after Rebuffi et al. 2020, arXiv 2004.02769"


@metric("CONTRAST", kind="re-explain", better="lower", title="Rank correlation with the next class's map", paper=PAPER,
        bounds=(-1, 1))  # fmt: skip
def contrast(case: Case, explain: Explain, classifier: Any) -> float:
    """Spearman correlation, in [−1, 1], of the map with that of the likeliest class other than the explained one; 1 for
    methods that do not ask for the class.

    A constant map on either side carries no ranks and gives 0.

    Known failure: the next class is often a neighbour, as two breeds of dog, that rightly has the same map.
    """
    order = ranked(case, classifier)
    return with_class(case, explain, next(index for index in order if index != case.target))


@metric("CONTRAST-LEAST", kind="re-explain", better="lower", title="Rank correlation with the least class's map",
        paper=PAPER, bounds=(-1, 1))  # fmt: skip
def contrast_least(case: Case, explain: Explain, classifier: Any) -> float:
    """As CONTRAST with the least likely class, whose evidence is none of the explained class's.

    Known failure: what the least likely class sees in the image is arbitrary.
    """
    order = ranked(case, classifier)
    return with_class(case, explain, next(index for index in reversed(order) if index != case.target))


@torch.no_grad()
def ranked(case: Case, classifier: Any) -> list[int]:
    """The classes, likeliest first."""
    order: list[int] = classifier.score(case.image[None])[0].argsort(descending=True, stable=True).tolist()
    return order


def with_class(case: Case, explain: Explain, target: int) -> float:
    other = explain(case.image[None], torch.tensor([target], device=case.image.device))[0]
    return rank_correlation(case.map, other)
