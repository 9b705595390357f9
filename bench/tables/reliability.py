"""Can a metric be trusted? How much its images agree about the methods, and how firmly its ranking stands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

Array = NDArray[np.float64]
RESAMPLES = 500


def krippendorff_alpha(ratings: Array) -> float:
    """Krippendorff's α with the interval metric of ratings (raters, units), NaN for a missing one.

    1 − D_o / D_e: D_o is the mean squared difference between two ratings of the same unit, each unit weighted by its
    ratings, D_e that between any two ratings of all. 1: all raters agree; 0: as by chance; NaN where all ratings are
    the same or no unit has two.

    Source: Krippendorff 2011, Computing Krippendorff's alpha-reliability; for saliency Tomsett et al. 2020, arXiv
    1912.01451.
    """
    kept = ratings[:, (~np.isnan(ratings)).sum(0) >= 2]
    known = kept[~np.isnan(kept)]
    if not len(known):
        return math.nan
    observed = 0.0
    for unit in kept.T:
        x = unit[~np.isnan(unit)]
        observed += 2 * len(x) * float(np.var(x)) * len(x) / (len(x) - 1)
    n = len(known)
    expected = 2 * n * float(np.var(known)) * n / (n - 1)
    return 1 - observed / expected if expected > 0 else math.nan


@dataclass(frozen=True)
class Reliability:
    """What is known of a metric's ranking of the methods."""

    metric: str
    methods: int
    images: int
    alpha: float
    """Agreement of the images about the methods' ranks."""
    stability: float
    """Mean Kendall's τ between the ranking and those of as many images drawn with replacement."""
    halves: float
    """Mean Kendall's τ between the rankings of two halves of the images."""


def reliability(metric: str, wide: Array, seed: int = 0) -> Reliability:
    """Of values (images, methods), NaN for a missing one: of the methods that have a value for most images, over the
    images that all of these have. NaN where fewer than two images or three methods are left.
    """
    known = (~np.isnan(wide)).sum(0)
    full = wide[:, (known == known.max(initial=0)) & (known > 0)]
    values = full[~np.isnan(full).any(1)]
    images, methods = values.shape
    if images < 2 or methods < 3:
        return Reliability(metric, methods, images, math.nan, math.nan, math.nan)
    ranks = np.apply_along_axis(rankdata, 1, values)
    rng = np.random.default_rng(seed)
    whole = values.mean(0)
    drawn = [kendall(whole, values[rng.integers(0, images, images)].mean(0)) for _ in range(RESAMPLES)]
    halves = []
    for _ in range(RESAMPLES):
        order = rng.permutation(images)
        halves.append(kendall(values[order[: images // 2]].mean(0), values[order[images // 2 :]].mean(0)))
    return Reliability(metric, methods, images, krippendorff_alpha(ranks), mean(drawn), mean(halves))


def kendall(x: Sequence[float] | Array, y: Sequence[float] | Array) -> float:
    """Kendall's τ-b over the entries that both have; NaN under three of them or where one is constant."""
    both = [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)]
    if len(both) < 3:
        return math.nan
    a, b = zip(*both, strict=True)
    return float(kendalltau(a, b).statistic)


def mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan


def between(tables: Sequence[pd.DataFrame], metric: str) -> list[list[float]]:
    """Kendall's τ of each pair of tables (methods in the index) about the methods that both have a value of."""
    found: list[list[float]] = []
    for one in tables:
        row: list[float] = []
        for other in tables:
            if metric in one and metric in other:
                both = pd.concat([one[metric], other[metric]], axis=1, join="inner").to_numpy(float)
                row.append(kendall(both[:, 0], both[:, 1]))
            else:
                row.append(math.nan)
        found.append(row)
    return found
