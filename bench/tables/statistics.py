"""Uncertainty of a table over images: intervals, paired tests and confidence sets. NumPy and SciPy only, all seeded.

Images are the sampling unit: a resample draws whole images, the same ones for every method.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtrit
from scipy.stats import binomtest, rankdata

Array = NDArray[np.float64]
Pool = Callable[[Array], float]
"""(n, V) vectors of n images to the value over those images."""

RESAMPLES = 2000
FLIPS = 9999
LEVEL = 0.95
FEWEST_FOR_INTERVAL = 10
"""With fewer images no interval keeps its promise, so none is printed."""
ROUNDING = 1e-12
"""Relative difference below which two numbers are the same."""
DECIMALS = 12
"""Of losses that are ranked: equal ones differ by rounding only."""
CHUNK = 10_000_000  # numbers drawn at a time: bounds memory at 50,000 images


def estimate(values: Array, pool: Pool | None = None) -> float:
    """Mean of (n,) values, or `pool` of (n, V) vectors."""
    return float(values.mean()) if pool is None else float(pool(values))


def replicates(values: Array, seed: int, pool: Pool | None = None, among: NDArray[np.bool_] | None = None) -> Array:
    """Bootstrap over images, one resampling for all methods: (n, m), or (n, m, V) with `pool`, to (RESAMPLES, m).

    Draws are of all n images; with `among`, (n,), the estimates are over those drawn images that it holds, so that
    replicates over different subsets belong to the same resamples. NaN for a resample that draws none of them.
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
            drawn = counts.sum(1, keepdims=True)
            result[rows] = np.where(drawn > 0, counts @ values[among] / np.maximum(drawn, 1), np.nan)
        else:
            result[rows] = [
                [pool(values[draw, column]) if len(draw) else np.nan for column in range(m)]
                for draw in (draw[among[draw]] for draw in draws)
            ]
    return result


def mean_interval(
    values: Array, bounds: tuple[float, float] = (-math.inf, math.inf), level: float = LEVEL
) -> tuple[float, float]:
    """Student's t interval of a mean, corrected for skewness, on the arcsine scale where the values are bounded.

    values: (n,). With their mean x̄, standard deviation s, skewness G and error e = s / √(n - 1), the ends are those of
    Hall's (1992) monotone transformation T + a T² + a² T³ / 3 + G / (6 √n) of T = (x̄ - μ) / e, a = G / (3 √n), compared
    with Student's quantiles of n - 1. Values within finite `bounds` are first scaled to [0, 1], and T is that of
    g(x̄) = arcsin √x̄ by the delta method: a gains e g″(x̄) / (2 g′(x̄)). The ends never leave the bounds. Closed form:
    nothing is drawn. √(n - 1) in place of √n is what small skewed samples need (docs/statistics.md).

    Where all values are the same bound, how often an image leaves it is a rate that was seen 0 times in n: Wilson's
    interval. (NaN, NaN) for fewer than FEWEST_FOR_INTERVAL values; the point itself when nothing varies otherwise.
    """
    n = len(values)
    if n < FEWEST_FOR_INTERVAL:
        return math.nan, math.nan
    point, reach = float(values.mean()), float(np.ptp(values))
    if reach <= ROUNDING * np.abs(values).max():
        if math.isfinite(bounds[1] - bounds[0]) and point in bounds:
            return scaled(wilson(n * bounds.index(point), n, level), bounds)
        return point, point
    low, high = bounds if bounds[0] <= values.min() and values.max() <= bounds[1] else (-math.inf, math.inf)
    deviation = (values - point) / reach
    variance = float((deviation**2).mean())
    error = reach * math.sqrt(variance * n) / (n - 1)
    skewness = float((deviation**3).mean()) / variance**1.5 * math.sqrt(n * (n - 1)) / (n - 2)
    bend, shift = skewness / (3 * math.sqrt(n)), skewness / (6 * math.sqrt(n))
    t = float(stdtrit(n - 1, (1 + level) / 2))
    if not math.isfinite(high - low):
        lower, upper = (point - unbent(sign * t - shift, bend) * error for sign in (1, -1))
        return max(low, lower), min(high, upper)
    share, error = (point - low) / (high - low), error / (high - low)
    width = math.sqrt(share * (1 - share))
    bend -= (1 - 2 * share) * error / (4 * width**2)
    angles = (math.asin(math.sqrt(share)) - unbent(sign * t - shift, bend) * error / (2 * width) for sign in (1, -1))
    lower, upper = (math.sin(min(max(angle, 0.0), math.pi / 2)) ** 2 for angle in angles)
    return scaled((lower, upper), (low, high))


def scaled(shares: tuple[float, float], bounds: tuple[float, float]) -> tuple[float, float]:
    """Two numbers in [0, 1] between the bounds."""
    low, high = bounds
    return low + (high - low) * shares[0], low + (high - low) * shares[1]


def unbent(value: float, bend: float) -> float:
    """The T at which T + a T² + a² T³ / 3 is `value`, for a = `bend`."""
    return value if abs(bend) < 1e-9 else (math.cbrt(1 + 3 * bend * value) - 1) / bend


def difference_interval(differences: Array, most: float = math.inf, level: float = LEVEL) -> tuple[float, float]:
    """Student's t interval of a mean of paired differences, (n,), that cannot exceed `most` in magnitude; the error is
    s / √(n - 1) as in `mean_interval`.

    Without a correction for skewness: differences have heavy tails on both sides, and a skewness that a small sample
    shows is mostly noise (docs/statistics.md has the coverage of both).

    (NaN, NaN) for fewer than FEWEST_FOR_INTERVAL values.
    """
    n = len(differences)
    if n < FEWEST_FOR_INTERVAL:
        return math.nan, math.nan
    point, error = float(differences.mean()), float(differences.std(ddof=1)) / math.sqrt(n - 1)
    reach = float(stdtrit(n - 1, (1 + level) / 2)) * error
    return max(-most, point - reach), min(most, point + reach)


def rate_difference_interval(differences: Array, level: float = LEVEL) -> tuple[float, float]:
    """Interval of a difference of two rates over the same images (Bonett & Price 2012): differences (n,) of -1, 0, 1.

    With a and b images on which the first, or the second, alone is 1, p = (a + 1) / (n + 2) and q = (b + 1) / (n + 2):
    p - q ± z √((p + q - (p - q)²) / (n + 2)), z = Φ⁻¹((1 + level) / 2), cut to [-1, 1].

    (NaN, NaN) for fewer than FEWEST_FOR_INTERVAL values.
    """
    n = len(differences)
    if n < FEWEST_FOR_INTERVAL:
        return math.nan, math.nan
    p, q = ((int((differences * sign > 0.5).sum()) + 1) / (n + 2) for sign in (1, -1))
    reach = float(ndtri((1 + level) / 2)) * math.sqrt((p + q - (p - q) ** 2) / (n + 2))
    return max(-1.0, p - q - reach), min(1.0, p - q + reach)


def bca(values: Array, replicated: Array, pool: Pool, level: float = LEVEL) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval of a pooled metric (Efron 1987; Efron & Tibshirani 1993, 14.3).

    values: (n, V); replicated: (R,) replicates of their pooled value. With z0 = Φ⁻¹(share of the replicates below the
    value, half of the equal ones included) and a = Σd³ / (6 (Σd²)^1.5) for the jackknife deviations d, the ends are the
    quantiles at Φ(z0 + (z0 + z) / (1 - a (z0 + z))), z = Φ⁻¹((1 ∓ level) / 2).

    (NaN, NaN) for fewer than FEWEST_FOR_INTERVAL images; the point itself when nothing varies.
    """
    n = len(values)
    if n < FEWEST_FOR_INTERVAL:
        return math.nan, math.nan
    point = estimate(values, pool)
    if np.all(values == values[0]) or np.ptp(replicated) <= ROUNDING * abs(point):
        return point, point
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
    """Wilson's score interval of a rate (Wilson 1927); (NaN, NaN) for n < FEWEST_FOR_INTERVAL.

    >>> [round(end, 3) for end in wilson(8, 10)]
    [0.49, 0.943]
    """
    if n < FEWEST_FOR_INTERVAL:
        return math.nan, math.nan
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


def positions(losses: Array) -> Array:
    """Places by mean rank: (k, R, m) losses of m methods under k metrics, lower = better, to (R, m) places from 1.

    Equal losses share their mean rank and equal mean ranks the better place; NaN, a metric without any image in a
    resample, is equal for all.
    """
    ranks = rankdata(np.round(np.nan_to_num(losses), DECIMALS), axis=2).mean(0)
    return np.asarray(rankdata(np.round(ranks, DECIMALS), method="min", axis=1))


def position_intervals(replicated: Array, level: float = LEVEL) -> Array:
    """(R, m) places in bootstrap resamples to (m, 2): the quantiles at (1 ∓ level) / 2 that are places themselves."""
    low = np.quantile(replicated, (1 - level) / 2, axis=0, method="lower")
    high = np.quantile(replicated, (1 + level) / 2, axis=0, method="higher")
    return np.stack([low, high], 1)


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
