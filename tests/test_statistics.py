"""The statistics against their papers: by hand on tiny samples, slowly in float64, by SciPy, and by coverage."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from scipy.stats import norm

from bench.statistics import (
    RESAMPLES,
    bca,
    confidence_set,
    estimate,
    holm,
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


def test_bca_of_a_mean_is_the_books():
    sample = np.random.default_rng(1).exponential(size=40)
    replicated = replicates(sample[:, None], 3)[:, 0]
    assert bca(sample, replicated) == pytest.approx(slow_bca(sample, replicated, np.mean), rel=1e-9)


def test_bca_of_a_pooled_metric_is_the_books():
    sample = np.random.default_rng(2).beta(1, 3, size=(25, 4))
    replicated = replicates(sample[:, None], 3, largest)[:, 0]
    assert bca(sample, replicated, largest) == pytest.approx(slow_bca(sample, replicated, largest), rel=1e-9)


def test_bca_agrees_with_scipy():
    sample = np.random.default_rng(4).exponential(size=200)
    ours = bca(sample, replicates(sample[:, None], 0)[:, 0])
    theirs = scipy.stats.bootstrap((sample,), np.mean, n_resamples=RESAMPLES, method="BCa", rng=5).confidence_interval
    assert ours == pytest.approx(tuple(theirs), abs=0.15 * (theirs.high - theirs.low))


def test_bca_covers_a_skewed_mean_as_often_as_it_says():
    draws = np.random.default_rng(6).exponential(size=(60, 300))
    replicated = replicates(draws, 0)
    covered = np.mean([low <= 1 <= high for low, high in (bca(draws[:, i], replicated[:, i]) for i in range(300))])
    assert 0.90 <= covered <= 0.98


def test_bca_of_what_does_not_vary_is_the_point_and_of_one_image_nothing():
    same = np.full(30, 0.1)
    assert bca(same, replicates(same[:, None], 0)[:, 0]) == (estimate(same), estimate(same))
    assert all(map(math.isnan, bca(np.ones(1), np.ones(RESAMPLES))))


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
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (1, 2, 0.0945, 0.9055)],
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
