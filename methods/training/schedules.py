"""How a learning rate runs over a training, as a share of its highest value."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int, int, int], float]
"""(step from 0 on, steps of an epoch, epochs) to (0, 1]."""
WARM_UP = 0.05
"""Share of the steps over which `one_cycle` rises."""


def one_cycle(step: int, per_epoch: int, epochs: int) -> float:
    """Up a line over 5 % of the steps, down a half cosine."""
    return rise_and_cosine(step, round(WARM_UP * per_epoch * epochs), per_epoch * epochs)


def rise_and_cosine(step: int, rise: int, steps: int) -> float:
    rise = max(1, rise)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def thirds(step: int, per_epoch: int, epochs: int) -> float:
    """A tenth after each third of the epochs, as ResNets are trained: 30, 60 and 90 of 90 epochs."""
    result: float = 0.1 ** (3 * (step // per_epoch) // epochs)
    return result


def tenth_and_cosine(step: int, per_epoch: int, epochs: int) -> float:
    """Up a line over a tenth of the epochs, down a half cosine: 10 of 100 epochs, as vision transformers."""
    return rise_and_cosine(step, round(0.1 * epochs * per_epoch), per_epoch * epochs)


def fifths(step: int, per_epoch: int, epochs: int) -> float:
    """A fifth after 30, 60 and 80 % of the epochs, as networks for CIFAR are trained: 60, 120 and 160 of 200 epochs."""
    done = 10 * (step // per_epoch) // epochs
    result: float = 0.2 ** sum(done >= mark for mark in (3, 6, 8))
    return result
