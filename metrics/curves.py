"""Insertion and Deletion: the area under the class probability while pixels come and go by rank."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from bench.core.metric import Case, Scores, Value, metric
from bench.core.protocols import Protocol

RISE = "Petsiuk et al. 2018 (RISE), arXiv 1806.07421"


def morph(case: Case, start: torch.Tensor, end: torch.Tensor) -> Iterator[torch.Tensor]:
    """`start` turned into `end` in the protocol's number of equal steps, most important pixels first; both ends are
    yielded, so steps + 1 images. Step k of n has changed round(k · pixels / n) pixels; tied pixels go in the seeded
    order of `Case.ranks`."""
    pixels, steps = case.ranks.numel(), case.protocol.steps
    for step in range(steps + 1):
        yield torch.where(case.ranks < round(step * pixels / steps), end, start)[None]


def insertion_steps(case: Case) -> Iterator[torch.Tensor]:
    return morph(case, case.filled(case.protocol.insertion_start), case.image)


def deletion_steps(case: Case) -> Iterator[torch.Tensor]:
    return morph(case, case.image, case.filled(case.protocol.deletion_end))


def curve_points(protocol: Protocol) -> int:
    return protocol.steps + 1


def area(scores: Scores) -> Value:
    """Trapezoid over [0, 1] of the explained class' probability, in [0, 1]; the curve itself is the vector."""
    curve = scores.probed[:, scores.target].exp()
    return Value(float(torch.trapezoid(curve, dx=1 / (len(curve) - 1))), curve)


@metric("I", kind="score", better="higher", title="Insertion", paper=RISE, probe=insertion_steps, probes=curve_points)
def insertion(scores: Scores) -> Value:
    """Area under p(class) while the image's pixels are put into the start image, most important first."""
    return area(scores)


@metric("D", kind="score", better="lower", title="Deletion", paper=RISE, probe=deletion_steps, probes=curve_points)
def deletion(scores: Scores) -> Value:
    """Area under p(class) while the image's pixels are taken away, most important first."""
    return area(scores)
