"""Metrics against slow float64 twins and hand-made cases."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

import metrics  # noqa: F401 - registers
from bench.core.errors import UsageError
from bench.core.metric import METRICS, Case, Scores
from bench.core.perturb import blur, blur_kernel, pixel_ranks
from bench.core.protocols import protocol
from metrics.imputation import imputed

MEAN = torch.tensor([0.485, 0.456, 0.406])


def case(saliency: torch.Tensor, name: str = "clean", seed: int = 0, target: int = 0) -> Case:
    generator = torch.Generator().manual_seed(5)
    image = torch.rand(3, *saliency.shape, generator=generator)
    return Case(image, saliency, saliency, target, None, protocol(name), MEAN, seed)


def two_class(p: float, *o: float) -> Scores:
    """Scores of a two-class classifier that gives class 0 the probability p, then o for the derived images."""
    rows = torch.tensor([[q, 1 - q] for q in (p, *o)], dtype=torch.float64).log()
    return Scores(rows[0], rows[1:], case(torch.ones(2, 2)))


def value(name: str, argument: Scores | Case) -> float:
    result = METRICS[name].value.function(argument)
    return float(getattr(result, "value", result))


@pytest.mark.parametrize(
    ("p", "o", "drop", "gain", "increase"),
    [
        (0.8, 0.4, 0.5, 0.0, 0),
        (0.8, 0.9, 0.0, 0.5, 1),
        (0.5, 0.5, 0.0, 0.0, 0),
        (1.0, 1.0, 0.0, 0.0, 0),
        (1.0, 0.25, 0.75, 0.0, 0),
        (0.25, 1.0, 0.0, 1.0, 1),
    ],
)
def test_drop_gain_increase_by_hand(p, o, drop, gain, increase):
    scores = two_class(p, o)
    assert value("AD", scores) == pytest.approx(drop, abs=1e-12)
    assert value("AG", scores) == pytest.approx(gain, abs=1e-12)
    assert value("AI", scores) == increase


def test_a_class_with_almost_no_probability_still_has_a_drop():
    """p = e^-800 is 0 in float64; only the log-probabilities can tell that half of it is gone."""
    clean = torch.tensor([-800.0, 0.0], dtype=torch.float64)
    masked = torch.tensor([[-800.0 - math.log(2), 0.0]], dtype=torch.float64)
    scores = Scores(clean, masked, case(torch.ones(2, 2)))
    assert value("AD", scores) == pytest.approx(0.5)
    assert value("AG", scores) == 0
    assert value("AI", scores) == 0


def test_drop_and_gain_equal_the_formulas_in_float64():
    rng = np.random.default_rng(1)
    logits = torch.from_numpy(rng.normal(size=(50, 2, 10)) * 3)
    for clean, masked in logits.log_softmax(-1):
        scores = Scores(clean, masked[None], case(torch.ones(2, 2), target=3))
        p, o = math.exp(clean[3]), math.exp(masked[3])
        assert value("AD", scores) == pytest.approx(max(0, p - o) / p, rel=1e-9, abs=1e-12)
        assert value("AG", scores) == pytest.approx(max(0, o - p) / (1 - p), rel=1e-9, abs=1e-12)
        assert value("AI", scores) == float(o > p)


def test_the_identity_mask_is_the_image_and_the_empty_mask_the_fill():
    ones, zeros = case(torch.ones(8, 8)), case(torch.zeros(8, 8))
    derive = METRICS["AD"].value.derive
    assert torch.equal(next(derive(ones))[0], ones.image)
    assert torch.equal(next(derive(zeros))[0], torch.zeros(3, 8, 8))
    grey = next(derive(case(torch.zeros(8, 8), "rise-2018")))[0]
    assert torch.allclose(grey, MEAN[:, None, None].expand(3, 8, 8))


def test_the_mask_is_soft_and_acts_on_raw_pixels():
    half = case(torch.full((8, 8), 0.5))
    assert torch.allclose(next(METRICS["AD"].value.derive(half))[0], half.image * 0.5)


def curve(name: str, points: Sequence[float]) -> Scores:
    """Scores whose curve is `points`: insertion ends and deletion starts at the clean image."""
    first, *inner, last = points
    clean, end = (last, first) if name == "I" else (first, last)
    return two_class(clean, *inner)._replace(filled=two_class(end).untouched)


@pytest.mark.parametrize("name", ["I", "D"])
def test_the_area_of_a_linear_ramp_is_one_half(name):
    assert value(name, curve(name, np.linspace(0, 1, 29))) == pytest.approx(0.5)
    assert value(name, curve(name, [0.3] * 29)) == pytest.approx(0.3)


@pytest.mark.parametrize("name", ["I", "D"])
def test_the_curve_is_the_trapezoid_of_the_rise_code(name):
    """(Σ − first/2 − last/2) / (n − 1), as eclique/RISE's auc."""
    points = np.random.default_rng(0).random(29)
    expected = (points.sum() - points[0] / 2 - points[-1] / 2) / 28
    assert value(name, curve(name, points)) == pytest.approx(expected)
    assert METRICS[name].value.function(curve(name, points)).vector.tolist() == pytest.approx(points.tolist())


def images_of(name: str, subject: Case) -> torch.Tensor:
    """All images of a curve, both ends included."""
    metric = METRICS[name].value
    ends = [subject.image[None], subject.filled(metric.whole_fill(subject.protocol))[None]]
    first, last = reversed(ends) if name == "I" else ends
    return torch.cat([first, *metric.derive(subject), last])


def test_insertion_starts_at_the_blur_and_its_last_step_is_the_image():
    subject = case(torch.rand(28, 28))
    images = images_of("I", subject)
    assert len(images) == 29
    assert torch.equal(images[0], blur(subject.image, MEAN, 11, 5))
    missing = (images[-2] != subject.image).any(0)
    assert missing.sum() == 28
    assert subject.ranks[missing].min() == 28 * 27


def test_noise_hides_pixels_alike_in_every_step_and_differs_between_seeds():
    subject = case(torch.rand(28, 28), "clean+insertion_start=noise+deletion_end=noise")
    inserted, deleted = images_of("I", subject), images_of("D", subject)
    assert torch.equal(inserted[0], deleted[-1])
    hidden = subject.ranks >= 28 * 14
    assert torch.equal(inserted[14][:, hidden], inserted[0][:, hidden])
    assert 0.4 < inserted[0].mean() < 0.6
    assert inserted[0].min() >= 0
    other = dataclasses.replace(subject, seed=subject.seed + 1, fills={})
    assert not torch.equal(other.filled("noise"), inserted[0])


def test_imputed_pixels_are_solved_from_those_that_are_there():
    subject = case(torch.rand(28, 28), "clean+insertion_start=imputed+deletion_end=imputed")
    inserted, deleted = images_of("I", subject), images_of("D", subject)
    gone = subject.ranks < 28 * 10
    torch.testing.assert_close(deleted[10], imputed(subject.image, gone[None])[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(inserted[10], imputed(subject.image, ~gone[None])[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(deleted[-1], MEAN[:, None, None].expand(3, 28, 28))
    with pytest.raises(UsageError, match="masked_out"):
        protocol("clean+masked_out=imputed")


@pytest.mark.parametrize(("name", "end"), [("clean", 0.0), ("opticam-2024", MEAN[0].item())])
def test_deletion_starts_at_the_image_and_ends_at_the_fill(name, end):
    subject = case(torch.rand(28, 28), name)
    images = images_of("D", subject)
    assert len(images) == 29
    assert torch.allclose(images[-1, 0], torch.full((28, 28), end))


def test_deletion_removes_the_most_important_pixels_first_in_equal_steps():
    subject = case(torch.arange(16.0).reshape(4, 4) / 15, "clean+steps=4")
    images = images_of("D", subject)
    removed = (images[:, 0] == 0) & (subject.image[0] != 0)
    assert removed.flatten(1).sum(1).tolist() == [0, 4, 8, 12, 16]
    assert removed[1].flatten().nonzero().flatten().tolist() == [12, 13, 14, 15]


def test_steps_that_do_not_divide_the_pixels_still_reach_the_end():
    subject = case(torch.rand(5, 5), "clean+steps=4")
    images = images_of("D", subject)
    changed = (images[:, 0] != subject.image[0]).flatten(1).sum(1)
    assert changed.tolist() == [round(k * 25 / 4) for k in range(5)]


def test_ties_are_exact_seeded_and_unbiased():
    constant = torch.zeros(20, 20)
    ranks = pixel_ranks(constant, 1)
    assert sorted(ranks.flatten().tolist()) == list(range(400))
    assert torch.equal(ranks, pixel_ranks(constant, 1))
    assert not torch.equal(ranks, pixel_ranks(constant, 2))
    first_half = np.mean([float((pixel_ranks(constant, seed)[:10] < 200).float().mean()) for seed in range(40)])
    assert abs(first_half - 0.5) < 0.02


def test_ties_never_overtake_larger_values():
    saliency = (torch.rand(16, 16) * 4).floor()
    order = saliency.flatten()[pixel_ranks(saliency, 3).flatten().argsort()]
    assert (order[:-1] >= order[1:]).all()


def test_the_best_and_the_worst_map_give_the_extremes():
    """A classifier that reads one patch: inserting that patch first is best, last is worst, and the reverse for D."""
    size, patch = 32, torch.zeros(32, 32, dtype=torch.bool)
    patch[8:16, 8:16] = True

    def areas(saliency: torch.Tensor) -> dict[str, float]:
        subject, found = case(saliency), {}
        reference = subject.image[:, patch]
        for name in ("I", "D"):
            images = images_of(name, subject)
            share = (images[:, :, patch] == reference).all(1).double().mean(1).clamp(1e-9, 1 - 1e-9)
            found[name] = value(name, curve(name, share.tolist()))
        return found

    good, bad = areas(patch.float()), areas(1 - patch.float())
    random = areas(torch.rand(size, size))
    assert good["I"] > random["I"] > bad["I"]
    assert good["D"] < random["D"] < bad["D"]
    assert good["I"] > 0.95
    assert bad["D"] > 0.95


@pytest.mark.parametrize(("length", "sigma"), [(11, 5), (5, 5)])
def test_the_blur_kernel_is_a_filtered_delta_that_sums_to_one(length, sigma):
    delta = np.zeros((length, length))
    delta[length // 2, length // 2] = 1
    kernel = blur_kernel(length, sigma)
    assert np.allclose(kernel, gaussian_filter(delta, sigma))
    assert float(kernel.sum()) == pytest.approx(1, abs=1e-12)


def test_the_blur_equals_rise_on_normalised_pixels():
    """RISE blurs (x − mean)/std with zero padding; the same picture must come out of the [0, 1] form."""
    std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64)
    mean = MEAN.double()
    image = torch.rand(3, 20, 20, dtype=torch.float64)
    normal = (image - mean[:, None, None]) / std[:, None, None]
    padded = np.pad(normal.numpy(), ((0, 0), (5, 5), (5, 5)))
    kernel, slow = blur_kernel(11, 5).numpy(), np.zeros((3, 20, 20))
    for y in range(20):
        for x in range(20):
            slow[:, y, x] = (padded[:, y : y + 11, x : x + 11] * kernel).sum((1, 2))
    expected = torch.from_numpy(slow) * std[:, None, None] + mean[:, None, None]
    assert torch.allclose(blur(image, mean, 11, 5), expected)


def test_sparseness_is_the_gini_index():
    flat, peak = torch.full((10, 10), 0.4), torch.zeros(10, 10)
    peak[3, 4] = 1
    assert value("SPARSE", case(flat)) == pytest.approx(0, abs=1e-12)
    assert value("SPARSE", case(peak)) == pytest.approx(0.99)
    assert value("SPARSE", case(torch.zeros(10, 10))) == 0
    values = torch.rand(6, 6).double()
    pairs = (values.flatten()[:, None] - values.flatten()[None]).abs().sum()
    assert value("SPARSE", case(values)) == pytest.approx(float(pairs / (2 * 36 * values.sum())))


def test_area_is_the_mean_of_the_map():
    assert value("AREA", case(torch.ones(8, 8))) == 1
    assert value("AREA", case(torch.zeros(8, 8))) == 0
    half = torch.zeros(8, 8)
    half[:, :4] = 0.5
    assert value("AREA", case(half)) == pytest.approx(0.25)
