"""Positive and negative perturbation: the accuracy while pixels are taken away by rank."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from bench.core.metric import Case, Scores, Value, metric
from bench.core.protocols import Protocol

CHEFER = "Chefer et al. 2021, arXiv 2012.09838"
LEVELS = tuple(range(1, 10))
"""Tenths of the pixels that are taken away."""


def without(case: Case, ranks: torch.Tensor) -> Iterator[torch.Tensor]:
    """The image with a tenth, two tenths, … nine tenths of the pixels black, those of least rank first."""
    black = torch.zeros_like(case.image)
    counts = torch.tensor([round(level * ranks.numel() / 10) for level in LEVELS], device=ranks.device)
    for part in counts.split(3):
        yield torch.where(ranks < part[:, None, None, None], black, case.image)


def most_relevant_first(case: Case) -> Iterator[torch.Tensor]:
    yield from without(case, case.ranks)


def least_relevant_first(case: Case) -> Iterator[torch.Tensor]:
    yield from without(case, case.ranks.numel() - 1 - case.ranks)


def nine(protocol: Protocol) -> int:
    return len(LEVELS)


def kept(scores: Scores) -> Value:
    """Share of the levels at which the explained class is the top one; the vector holds the nine verdicts."""
    verdicts = (scores.derived.argmax(1) == scores.target).double()
    return Value(float(verdicts.mean()), verdicts)


@metric("POS", kind="score", better="lower", title="Positive perturbation", paper=CHEFER, derive=most_relevant_first,
        n_derived=nine, bounds=(0, 1))  # fmt: skip
def positive_perturbation(scores: Scores) -> Value:
    """Mean over 10 %, 20 %, … 90 % of pixels taken away (black), the most relevant first, of 1[the explained class is
    the top one], in [0, 1]. The mean over images at a level is the accuracy curve.

    The mean of nine levels, as CA-Stream has it; the authors' code integrates by trapezoids from 0 % on.

    Known failure: that of Deletion: scattered black pixels break the image whatever they hide.
    """
    return kept(scores)


@metric("NEG", kind="score", better="higher", title="Negative perturbation", paper=CHEFER, derive=least_relevant_first,
        n_derived=nine, bounds=(0, 1))  # fmt: skip
def negative_perturbation(scores: Scores) -> Value:
    """As POS with the least relevant pixels first: how long the class stays.

    Known failure: a centred Gaussian does well on photographs, whose border is seldom needed.
    """
    return kept(scores)
