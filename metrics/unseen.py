"""What a map shows where a network cannot see."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from bench.core.metric import Case, Value, metric

SHARE = 54 / 224
"""Of the image's rows, the last ones, which the network of `methods.walls` cannot see."""
PAPER = "Taimeskhanov et al. 2024 (see through walls), arXiv 2404.01964"


def share(case: Case) -> float:
    """‖S[last 54 of 224 rows]‖₂ / ‖S‖₂, 0 for a map of zeros."""
    values = case.map.double()
    rows = round(SHARE * len(values))
    whole = float(values.norm())
    return float(values[len(values) - rows :].norm()) / whole if whole else 0.0


def deviation(vectors: Any) -> float:
    """Unbiased; NaN for a single image."""
    values = np.asarray(vectors, dtype=np.float64)
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan


@metric("UNSEEN", kind="map", better="lower", title="Share in the unseen rows", paper=PAPER, scale=1, bounds=(0, 1))
def unseen(case: Case) -> float:
    """‖S[last 54 of 224 rows]‖₂ / ‖S‖₂ in [0, 1]: 0 where nothing is shown in the rows that the network `walls:vgg16`
    cannot see, √(54/224) = 0.491 for a constant map.

    Known failure: with a network that sees every row it says where objects lie, not whether a map is faithful.
    """
    return share(case)


@metric("UNSEEN-SD", kind="map", better="none", title="Standard deviation of UNSEEN", paper=PAPER, scale=1,
        bounds=(0, 1), pool=deviation)  # fmt: skip
def unseen_deviation(case: Case) -> Value:
    """Standard deviation over images, unbiased, of UNSEEN, as the paper states it.

    Known failure: that of UNSEEN; and half of the largest share is much for a quantity between 0 and 1.
    """
    value = share(case)
    return Value(value, torch.tensor([value], dtype=torch.float64))
