"""Insertion and Deletion: the area under the class probability while pixels come and go by rank."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from bench.core.metric import Case, Scores, Value, metric
from bench.core.protocols import Hidden, Protocol
from metrics.imputation import imputed

RISE = "Petsiuk et al. 2018 (RISE), arXiv 1806.07421"


BLOCK = 4
"""Steps of a curve that are made at a time: enough to keep a GPU busy, few enough to stay in a core's cache."""


def hidden(case: Case, kind: Hidden, pixels: torch.Tensor) -> torch.Tensor:
    """(n, 3, H, W): the image with the pixels (n, H, W) replaced."""
    if kind == "imputed":
        return imputed(case.image, pixels)
    return torch.where(pixels[:, None], case.filled(kind), case.image)


def counts(case: Case) -> Iterator[torch.Tensor]:
    """How many of the most important pixels have come or gone, at the steps within a curve: at step k of n it is
    round(k · pixels / n). In blocks (steps, 1, 1); tied pixels go in the order of `Case.ranks`."""
    k = torch.arange(1, case.protocol.steps, device=case.ranks.device, dtype=torch.float64)
    for part in (k * case.ranks.numel() / case.protocol.steps).round().long().split(BLOCK):
        yield part[:, None, None]


def insertion_steps(case: Case) -> Iterator[torch.Tensor]:
    """Between the start image and the image itself, whose scores no map changes."""
    return (hidden(case, case.protocol.insertion_start, case.ranks >= count) for count in counts(case))


def deletion_steps(case: Case) -> Iterator[torch.Tensor]:
    """Between the image itself and the end image, whose scores no map changes."""
    return (hidden(case, case.protocol.deletion_end, case.ranks < count) for count in counts(case))


def inner_points(protocol: Protocol) -> int:
    return protocol.steps - 1


def start(protocol: Protocol) -> Hidden:
    return protocol.insertion_start


def end(protocol: Protocol) -> Hidden:
    return protocol.deletion_end


def area(log_probabilities: Sequence[torch.Tensor], target: int) -> Value:
    """Trapezoid over [0, 1] of the explained class' probability, in [0, 1]; the curve itself is the vector."""
    curve = torch.cat([rows[:, target] for rows in log_probabilities]).exp()
    return Value(float(torch.trapezoid(curve, dx=1 / (len(curve) - 1))), curve)


@metric("I", kind="score", better="higher", title="Insertion", paper=RISE, derive=insertion_steps,
        n_derived=inner_points, whole_fill=start, bounds=(0, 1))  # fmt: skip
def insertion(scores: Scores) -> Value:
    """Area under p(class) while the image's pixels are put into the start image, most important first:
    Σ_k (p_k + p_{k+1}) / 2n over k = 0 … n − 1, p_k with k of n parts of the pixels put in, n the protocol's `steps`.

    Known failure: the half-blurred images are unlike any that the network was trained on, and objects in the middle
    of photographs let a centred Gaussian score well.
    """
    assert scores.filled is not None
    return area([scores.filled[None], scores.derived, scores.untouched[None]], scores.target)


@metric("D", kind="score", better="lower", title="Deletion", paper=RISE, derive=deletion_steps, n_derived=inner_points,
        whole_fill=end, bounds=(0, 1))  # fmt: skip
def deletion(scores: Scores) -> Value:
    """Area under p(class) while the image's pixels are taken away, most important first:
    Σ_k (p_k + p_{k+1}) / 2n over k = 0 … n − 1, p_k with k of n parts of the pixels taken; n is the protocol's `steps`.

    Known failure: scattered pixels destroy an image without showing what mattered, so that noisy gradient maps, and
    even Fake-CAM with ties in random order, have low values.
    """
    assert scores.filled is not None
    return area([scores.untouched[None], scores.derived, scores.filled[None]], scores.target)
