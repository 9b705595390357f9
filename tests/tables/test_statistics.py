"""The statistics against their papers: by hand on tiny samples, slowly in float64, by SciPy, and by coverage."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from scipy.stats import norm

from bench.tables.statistics import (
    RESAMPLES,
    bca,
    confidence_set,
    difference_interval,
    holm,
    mean_interval,
    positions,
    rate_difference_interval,
    replicates,
    sign_flip,
    swap_test,
    wilson,
)


def pairwise(losses):
    """(m,) or (R, m) losses as (m, m) or (R, m, m) differences."""
    return losses[..., :, None] - losses[..., None, :]


def best(losses, seed=0):
    return confidence_set(pairwise(losses.mean(0)), pairwise(replicates(losses, seed))).tolist()


def largest(vectors):
    """A pooled metric: the best threshold of the mean vector."""
    return float(vectors.mean(0).max())


def slow_bca(sample, replicated, statistic):
    """Efron & Tibshirani 1993, equations 14.10, 14.14 and 14.15, term by term."""
    n, point = len(sample), statistic(sample)
    below = sum((r < point) + 0.5 * (r == point) for r in replicated) / len(replicated)
    z0 = norm.ppf(below)
    jackknife = [statistic(np.array([x for k, x in enumerate(sample) if k != i])) for i in range(n)]
    centre = sum(jackknife) / n
    a = sum((centre - x) ** 3 for x in jackknife) / (6 * sum((centre - x) ** 2 for x in jackknife) ** 1.5)
    shares = [norm.cdf(z0 + (z0 + norm.ppf(q)) / (1 - a * (z0 + norm.ppf(q)))) for q in (0.025, 0.975)]
    return np.quantile(replicated, shares)


def test_bca_of_a_pooled_metric_is_the_books():
    sample = np.random.default_rng(2).beta(1, 3, size=(25, 4))
    replicated = replicates(sample[:, None], 3, largest)[:, 0]
    assert bca(sample, replicated, largest) == pytest.approx(slow_bca(sample, replicated, largest), rel=1e-9)


def test_bca_of_what_does_not_vary_is_the_point():
    same = np.full((30, 2), 0.1)
    assert bca(same, np.full(RESAMPLES, 0.1), largest) == pytest.approx((0.1, 0.1))


def hall(t, bend, shift):
    """Hall 1992, section 3.10.6: the transformation of T itself."""
    return t + bend * t**2 + bend**2 * t**3 / 3 + shift


@pytest.mark.parametrize("bounds", [(-math.inf, math.inf), (0.0, math.inf), (0.0, 4.0)])
def test_the_ends_of_a_mean_are_where_the_corrected_t_reaches_its_quantile(bounds):
    """T at each end, put through the transformation, is Student's quantile."""
    sample = np.random.default_rng(1).beta(0.5, 2, size=25) * 4
    n, mean, error = 25, sample.mean(), sample.std(ddof=1) / math.sqrt(24)
    skewness = scipy.stats.skew(sample, bias=False)
    bend, quantile = skewness / (3 * math.sqrt(n)), scipy.stats.t.ppf(0.975, n - 1)
    share, slope = mean / 4, 1.0
    if bounds == (0.0, 4.0):
        bend -= (1 - 2 * share) * (error / 4) / (4 * share * (1 - share))
    for end, expected in zip(mean_interval(sample, bounds), (quantile, -quantile), strict=True):
        t = (mean - end) / error
        if bounds == (0.0, 4.0):
            slope = error / 4 / (2 * math.sqrt(share * (1 - share)))
            t = (math.asin(math.sqrt(share)) - math.asin(math.sqrt(end / 4))) / slope
        assert hall(t, bend, skewness / (6 * math.sqrt(n))) == pytest.approx(expected)


def test_a_symmetric_sample_has_students_interval():
    sample = np.concatenate([np.arange(10.0), -np.arange(10.0)])
    assert mean_interval(sample) == pytest.approx(difference_interval(sample))
    assert difference_interval(sample) == pytest.approx(
        scipy.stats.t.interval(0.95, 19, sample.mean(), sample.std(ddof=1) / math.sqrt(19))
    )


def test_intervals_stay_within_what_is_possible_and_hold_the_mean():
    rng = np.random.default_rng(3)
    for zeros in (0, 10, 15, 18, 19):
        sample = np.where(np.arange(20) < zeros, 0.0, rng.random(20))
        for values in (sample, 1 - sample, sample * 1e-9, sample * 1e-200):
            low, high = mean_interval(values, (0.0, 1.0))
            assert 0 <= low < values.mean() < high <= 1
    assert difference_interval(np.array([1.0] * 19 + [-0.5]), 1.0)[1] == 1.0


def test_values_outside_the_stated_bounds_have_the_interval_of_unbounded_ones():
    sample = np.random.default_rng(4).exponential(size=30)
    assert mean_interval(sample, (0.0, 1.0)) == mean_interval(sample)


def test_what_does_not_vary_is_the_point_and_nine_images_are_too_few():
    same, few = np.full(30, 0.1), np.arange(9.0)
    assert mean_interval(same, (0.0, 1.0)) == (same.mean(), same.mean())
    assert mean_interval(np.zeros(30)) == (0.0, 0.0)
    assert difference_interval(np.zeros(30)) == (0.0, 0.0)
    for ends in (
        mean_interval(few), difference_interval(few), rate_difference_interval(few), wilson(3, 9),
        bca(few[:, None], few, largest),
    ):  # fmt: skip
        assert all(map(math.isnan, ends))
    assert all(map(math.isfinite, (*mean_interval(np.arange(10.0)), *wilson(3, 10))))


def test_a_sample_at_a_bound_says_how_often_it_may_leave_it():
    """No drop on any of 20 images: as for a rate seen 0 times in 20, it may be there on up to 16 %."""
    assert mean_interval(np.zeros(20), (0.0, 1.0)) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert mean_interval(np.ones(20), (-1.0, 1.0)) == pytest.approx((1 - 2 * 0.1611, 1.0), abs=1e-4)


def test_rate_differences_by_hand():
    """5 and 2 discordant of 20: p = 6 / 22, q = 3 / 22."""
    sample = np.array([1.0] * 5 + [-1.0] * 2 + [0.0] * 13)
    reach = 1.959964 * math.sqrt((9 / 22 - (3 / 22) ** 2) / 22)
    assert rate_difference_interval(sample) == pytest.approx((3 / 22 - reach, 3 / 22 + reach))
    low, high = rate_difference_interval(np.zeros(20))
    assert low == -high < 0
    assert rate_difference_interval(np.ones(10))[1] == 1.0


def test_positions_by_hand():
    """Two metrics, three methods: ranks 1 2 3 and 2 1 3 give a shared first place; NaN is equal for all."""
    losses = np.array([[[0.1, 0.2, 0.3]], [[5.0, 4.0, 6.0]]])
    assert positions(losses).tolist() == [[1, 1, 3]]
    assert positions(np.concatenate([losses[:1], np.full((1, 1, 3), np.nan)])).tolist() == [[1, 2, 3]]
    assert positions(np.array([[[0.1 + 0.2, 0.3, 1.0]]])).tolist() == [[1, 1, 3]]


def test_a_resample_without_any_of_the_images_is_not_a_number():
    among = np.arange(30) == 0
    for values, pool in ((np.ones((30, 1)), None), (np.ones((30, 1, 1)), largest)):
        replicated = replicates(values, 0, pool, among)[:, 0]
        assert 0.3 < np.isnan(replicated).mean() < 0.42
        assert set(replicated[~np.isnan(replicated)]) == {1.0}


def test_replicates_draw_whole_images_for_all_methods():
    values = np.random.default_rng(7).normal(size=(30, 2))
    both = replicates(np.column_stack([values, values.sum(1)]), 0)
    assert both[:, 2] == pytest.approx(both[:, 0] + both[:, 1])


def test_replicates_by_weights_equal_replicates_by_gathering():
    values = np.random.default_rng(8).normal(size=(12, 3))
    some = np.arange(12) < 9
    for among in (None, some):
        gathered = replicates(values[..., None], 5, lambda vectors: float(vectors.mean()), among)
        assert replicates(values, 5, None, among) == pytest.approx(gathered)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0)],
)
def test_wilson_known_values(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_of_nothing_is_nothing():
    assert all(map(math.isnan, wilson(0, 0)))


def test_sign_flip_by_hand():
    """n = 3, all positive: only + + + and − − − reach the observed mean: 2 / 8."""
    assert sign_flip(np.array([[1.0], [2.0], [3.0]]), 0).tolist() == [0.25]
    assert sign_flip(np.array([[1.0], [-1.0]]), 0).tolist() == [1.0]
    assert sign_flip(np.array([[0.5]]), 0).tolist() == [1.0]
    assert sign_flip(np.zeros((5, 1)), 0).tolist() == [1.0]


def test_sign_flip_equals_scipy_where_exact_and_nearly_where_drawn():
    rng = np.random.default_rng(9)
    few, many = rng.normal(0.3, 1, size=(9, 3)), rng.normal(0.2, 1, size=(60, 3))
    for sample, tolerance in ((few, 1e-12), (many, 0.02)):
        theirs = [
            scipy.stats.permutation_test(
                (column,), np.mean, permutation_type="samples", vectorized=True, n_resamples=9999, rng=1
            ).pvalue
            for column in sample.T
        ]
        assert sign_flip(sample, 0) == pytest.approx(theirs, abs=tolerance)


def test_sign_flip_rejects_a_true_null_at_its_rate():
    p = sign_flip(np.random.default_rng(10).normal(size=(40, 600)), 0)
    assert 0.03 <= (p < 0.05).mean() <= 0.075


def test_swap_test_is_the_sign_flip_test_where_the_pool_is_a_mean():
    first, second = np.random.default_rng(11).normal(size=(2, 8))
    swapped = swap_test(first[:, None], second[:, None], lambda v: float(v.mean()), 0)
    assert swapped == pytest.approx(sign_flip((first - second)[:, None], 0)[0])


def test_swap_test_by_hand_over_all_exchanges():
    first, second = np.random.default_rng(12).random((2, 5, 3))
    observed, reached = abs(largest(first) - largest(second)), 0
    for flips in itertools.product([False, True], repeat=5):
        mask = np.array(flips)[:, None]
        a, b = np.where(mask, second, first), np.where(mask, first, second)
        reached += abs(largest(a) - largest(b)) >= observed - 1e-12
    assert swap_test(first, second, largest, 0) == reached / 32


def test_holm_by_hand():
    """Sorted 0.01, 0.03, 0.04 times 3, 2, 1: 0.03, 0.06, 0.04 made monotone; nothing over 1."""
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []


def test_a_clear_winner_stands_alone_among_equal_losers():
    losses = np.random.default_rng(13).random((200, 12))
    losses[:, 4] -= 0.3
    assert best(losses) == [i == 4 for i in range(12)]


def test_two_equal_winners_both_stay():
    losses = np.random.default_rng(14).random((200, 5))
    losses[:, 1] = losses[:, 3] = losses[:, 0] - 0.3
    assert best(losses) == [False, True, False, True, False]


def test_identical_methods_all_stay():
    assert best(np.repeat(np.random.default_rng(15).random((120, 1)), 4, axis=1)) == [True] * 4


def test_a_constant_difference_is_certain():
    losses = np.zeros((100, 3))
    losses[:, 1:] = 1.0
    assert best(losses) == [True, False, False]
    assert best(1 - losses) == [False, True, True]


def test_confidence_set_holds_the_best_as_often_as_it_says():
    """A hundred worlds of five methods, of which the first is best by a hair: the set misses it in about 5 %."""
    held = 0
    for seed in range(100):
        losses = np.random.default_rng(seed).normal(size=(100, 5)) + [0, 0.01, 0.01, 0.01, 0.01]
        held += best(losses, seed)[0]
    assert held >= 88


def test_confidence_set_of_one_or_none():
    assert confidence_set(np.zeros((1, 1)), np.zeros((RESAMPLES, 1, 1))).tolist() == [True]
    assert confidence_set(np.zeros((0, 0)), np.zeros((RESAMPLES, 0, 0))).tolist() == []


def test_seeds_repeat():
    values = np.random.default_rng(16).random((50, 2))
    assert (replicates(values, 1) == replicates(values, 1)).all()
    assert (replicates(values, 1) != replicates(values, 2)).any()
    assert (sign_flip(values - 0.5, 1) == sign_flip(values - 0.5, 1)).all()
