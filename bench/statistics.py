"""Uncertainty of a table over images: intervals, paired tests and confidence sets. NumPy and SciPy only, all seeded.

Images are the sampling unit: a resample draws whole images, the same ones for every method.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import binomtest

Array = NDArray[np.float64]
Pool = Callable[[Array], float]
"""(n, V) vectors of n images to the value over those images."""

RESAMPLES = 2000
FLIPS = 9999
LEVEL = 0.95
CHUNK = 10_000_000  # numbers drawn at a time: bounds memory at 50,000 images


def estimate(values: Array, pool: Pool | None = None) -> float:
    """Mean of (n,) values, or `pool` of (n, V) vectors."""
    return float(values.mean()) if pool is None else float(pool(values))


def replicates(values: Array, seed: int, pool: Pool | None = None, among: NDArray[np.bool_] | None = None) -> Array:
    """Bootstrap over images, one resampling for all methods: (n, m), or (n, m, V) with `pool`, to (RESAMPLES, m).

    Draws are of all n images; with `among`, (n,), the estimates are over those drawn images that it holds, so that
    replicates over different subsets belong to the same resamples.
    """
    n, m = values.shape[:2]
    among = np.ones(n, dtype=bool) if among is None else among
    rng = np.random.default_rng(seed)
    result = np.empty((RESAMPLES, m))
    for rows in _chunks(RESAMPLES, n):
        draws = rng.integers(0, n, (rows.stop - rows.start, n))
        if pool is None:
            flat = draws + n * np.arange(len(draws))[:, None]
            counts = np.bincount(flat.ravel(), minlength=len(draws) * n).reshape(len(draws), n)[:, among]
            result[rows] = counts @ values[among] / counts.sum(1, keepdims=True)
        else:
            result[rows] = [[pool(values[draw[among[draw]], column]) for column in range(m)] for draw in draws]
    return result


def bca(values: Array, replicated: Array, pool: Pool | None = None, level: float = LEVEL) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval (Efron 1987; Efron & Tibshirani 1993, 14.3).

    values: (n,), or (n, V) with `pool`; replicated: (R,) replicates of their estimate. With z0 = Φ⁻¹(share of the
    replicates below the estimate, half of the equal ones included) and a = Σd³ / (6 (Σd²)^1.5) for the jackknife
    deviations d, the ends are the quantiles at Φ(z0 + (z0 + z) / (1 - a (z0 + z))), z = Φ⁻¹((1 ∓ level) / 2).

    (NaN, NaN) for fewer than two images; the point itself when nothing varies.
    """
    n = len(values)
    if n < 2:
        return np.nan, np.nan
    point = estimate(values, pool)
    if np.all(values == values[0]) or np.ptp(replicated) <= 1e-12 * abs(point):
        return point, point
    if pool is None:
        left_out = (values.sum() - values) / (n - 1)  # closed form: a table of 50,000 images stays cheap
    else:
        left_out = np.array([pool(np.delete(values, i, axis=0)) for i in range(n)])
    deviation = left_out.mean() - left_out
    spread = np.sum(deviation**2) ** 1.5
    acceleration = np.sum(deviation**3) / (6 * spread) if spread > 0 else 0.0
    below = ((replicated < point).mean() + (replicated <= point).mean()) / 2
    bias = ndtri(np.clip(below, 0.5 / len(replicated), 1 - 0.5 / len(replicated)))
    shifted = bias + ndtri([(1 - level) / 2, (1 + level) / 2])
    low, high = np.quantile(replicated, ndtr(bias + shifted / (1 - acceleration * shifted)))
    return float(low), float(high)


def wilson(successes: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval of a rate (Wilson 1927); (NaN, NaN) for n = 0.

    >>> [round(end, 3) for end in wilson(8, 10)]
    [0.49, 0.943]
    """
    if n == 0:
        return np.nan, np.nan
    ends = binomtest(successes, n).proportion_ci(level, method="wilson")
    return float(ends.low), float(ends.high)


def sign_flip(differences: Array, seed: int) -> Array:
    """Two-sided sign-flip permutation test that paired differences are symmetric about 0: (n, m) to (m,) p-values.

    p = share of sign patterns whose |mean| reaches the observed one: all 2ⁿ patterns where they are at most FLIPS, else
    FLIPS random ones and the observed (Phipson & Smyth 2010), the same patterns for every column.
    """
    observed = np.abs(differences.sum(0))
    threshold = observed - 1e-12 * np.abs(differences).sum(0)
    reached, patterns = np.zeros(differences.shape[1]), 0
    for flips in _flips(len(differences), seed):
        reached += (np.abs((1.0 - 2.0 * flips) @ differences) >= threshold).sum(0)
        patterns += len(flips)
    return reached / patterns


def swap_test(first: Array, second: Array, pool: Pool, seed: int) -> float:
    """`sign_flip` for pooled metrics: exchanges the two methods' (n, V) vectors image by image and pools again."""
    observed = abs(pool(first) - pool(second))
    reached, patterns = 0, 0
    for flips in _flips(len(first), seed, RESAMPLES - 1):
        for flip in flips[..., None]:
            difference = pool(np.where(flip, second, first)) - pool(np.where(flip, first, second))
            reached += abs(difference) >= observed - 1e-12
        patterns += len(flips)
    return reached / patterns


def holm(p_values: ArrayLike) -> Array:
    """Holm's step-down adjustment (Holm 1979): p-values that keep the family-wise error rate."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted


def confidence_set(differences: Array, replicated: Array, size: float = 1 - LEVEL) -> NDArray[np.bool_]:
    """Model confidence set by max-T over pairs (Hansen, Lunde & Nason 2011, T_R of section 3.1.2): who may be the best.

    differences: (m, m), loss of i minus loss of j, lower loss = better; replicated: (R, m, m) bootstrap replicates of
    them over the same resamples. With t_ij = d_ij / sd*(d_ij) and T = max t_ij over the set, the method whose t_ij is T
    leaves while P*(max (d*_ij - d_ij) / sd*(d_ij) ≥ T) < size. Returns (m,) booleans; the set holds the best method
    with probability 1 - size.

    The paper's other statistic, each method against the mean of the set, cannot tell one winner from many equal losers.
    """
    noise = 1e-12 * float(np.abs(replicated).max(initial=1e-300))  # a pair that never varies does so by rounding only
    centred = replicated - differences
    deviation = np.sqrt((centred**2).mean(0))
    varies = deviation > noise
    certain = np.where(np.abs(differences) > noise, np.copysign(np.inf, differences), 0.0)
    t = np.divide(differences, deviation, out=certain, where=varies)
    spread = np.divide(centred, deviation, out=np.zeros_like(centred), where=varies)
    kept = list(range(len(differences)))
    while len(kept) > 1:
        pairs = t[np.ix_(kept, kept)]
        if (spread[:, kept][:, :, kept].max((1, 2)) >= pairs.max()).mean() >= size:
            break
        del kept[int(pairs.max(1).argmax())]
    return np.isin(np.arange(len(differences)), kept)


def _flips(n: int, seed: int, most: int = FLIPS) -> Iterator[NDArray[np.bool_]]:
    """(k, n) booleans at a time, the observed pattern (no flip) included."""
    if 2**n <= most:
        yield np.array(list(itertools.product([False, True], repeat=n)), dtype=bool)
        return
    rng = np.random.default_rng(seed)
    yield np.zeros((1, n), dtype=bool)
    for rows in _chunks(most, n):
        yield rng.random((rows.stop - rows.start, n)) < 0.5


def _chunks(total: int, n: int) -> Iterator[slice]:
    step = max(1, CHUNK // max(1, n))
    return (slice(start, min(start + step, total)) for start in range(0, total, step))
