"""Losses, regularisers, views and backgrounds of the decoder's training against plain Python in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from bench.core.errors import UsageError
from bench.core.perturb import fill
from methods._backgrounds import BACKGROUNDS, background
from methods.decoder.training.losses import LOSSES, Views
from methods.decoder.training.regularisers import REGULARISERS
from methods.decoder.training.terms import parse_terms
from methods.decoder.training.views import COMPOSITIONS, Scene
from tests.toys import MEAN, photo

CLEAN = [[1.0, 3.0, -0.5, 0.2], [0.4, 0.1, 2.5, -1.0], [5.0, 0.0, 1.0, 2.0]]
SEEN = [[2.0, 1.5, -1.0, 0.0], [0.3, 0.2, 4.0, -2.0], [-1.0, 0.5, 1.5, 6.0]]
"""The class loses confidence, gains confidence, and is lost."""
TARGETS = [1, 2, 0]


def softmax(row):
    total = sum(math.exp(value) for value in row)
    return [math.exp(value) / total for value in row]


def odds(row, c):
    return softmax(row)[c] / (1 - softmax(row)[c])


def best_other(row, c):
    return max(value for j, value in enumerate(row) if j != c)


BY_HAND = {
    "mimic": lambda x, v, c: abs(x[c] - v[c]),
    "max": lambda x, v, c: -v[c],
    "ce": lambda x, v, c: -math.log(softmax(v)[c]),
    "kl": lambda x, v, c: sum(p * (math.log(p) - math.log(q)) for p, q in zip(softmax(x), softmax(v), strict=True)),
    "drop": lambda x, v, c: max(0.0, softmax(x)[c] - softmax(v)[c]) / softmax(x)[c],
    "gain": lambda x, v, c: -max(0.0, softmax(v)[c] - softmax(x)[c]) / (1 - softmax(x)[c]),
    "keep-odds": lambda x, v, c: math.log1p(odds(x, c) / odds(v, c)),
    "keep-odds(temperature=2)": lambda x, v, c: 2 * math.log1p(math.sqrt(odds(x, c) / odds(v, c))),
    "destroy": lambda x, v, c: max(0.0, v[c] - best_other(v, c) + 5.0),
    "destroy(margin=1)": lambda x, v, c: max(0.0, v[c] - best_other(v, c) + 1.0),
    "destroy-entropy": lambda x, v, c: sum(p * math.log(p) for p in softmax(v)),
    "insertion": lambda x, v, c: -softmax(v)[c],
    "deletion": lambda x, v, c: softmax(v)[c],
    "soft-insertion": lambda x, v, c: -softmax(v)[c],
    "soft-deletion": lambda x, v, c: softmax(v)[c],
}
RAISES = ("mimic", "max", "ce", "drop", "keep-odds", "insertion", "soft-insertion")
LOWERS = ("destroy", "destroy-entropy", "deletion", "soft-deletion")


def evaluated(text, logits, clean=CLEAN, targets=TARGETS):
    spec = LOSSES.spec(text)
    given = {spec.value.needs: logits}
    views = Views(torch.tensor(clean, dtype=torch.float64), torch.tensor(targets), torch.zeros(3, 2, 2), **given)
    return spec.value.function(views, **spec.params)


@pytest.mark.parametrize("text", BY_HAND)
def test_a_loss_is_what_its_formula_says(text):
    expected = [BY_HAND[text](*row) for row in zip(CLEAN, SEEN, TARGETS, strict=True)]
    found = evaluated(text, torch.tensor(SEEN, dtype=torch.float64))
    assert found.tolist() == pytest.approx(expected, rel=1e-12, abs=1e-14)


def test_every_loss_is_checked_by_hand():
    assert {entry.name for entry in LOSSES} == {text.partition("(")[0] for text in BY_HAND} | {"distil"}


@pytest.mark.parametrize(("names", "sign"), [(RAISES, -1), (LOWERS, 1)])
def test_descent_raises_the_class_of_what_is_kept_and_lowers_that_of_what_is_left(names, sign):
    """On images where the class has lost some confidence and is still there."""
    for name in names:
        logits = torch.tensor([[0.0, 2.0, -1.0, 0.0]], dtype=torch.float64, requires_grad=True)
        evaluated(name, logits, clean=[[0.0, 3.0, -1.0, 0.0]], targets=[1]).sum().backward()
        assert math.copysign(1, logits.grad[0, 1]) == sign, name


def test_gain_is_felt_where_confidence_rises_only():
    for raised, felt in ((1.0, True), (-1.0, False)):
        logits = torch.tensor([[0.0, 2.0 + raised]], dtype=torch.float64, requires_grad=True)
        evaluated("gain", logits, clean=[[0.0, 2.0]], targets=[1]).sum().backward()
        assert (logits.grad[0, 1] < 0) == felt


def test_kl_is_least_where_nothing_changes():
    logits = torch.tensor(CLEAN, dtype=torch.float64, requires_grad=True)
    loss = evaluated("kl", logits)
    loss.sum().backward()
    assert loss.abs().max() < 1e-15
    assert logits.grad.abs().max() < 1e-15


@pytest.mark.parametrize("name", ["gain", "deletion", "drop"])
def test_losses_are_finite_where_the_class_is_certain(name):
    logits = torch.tensor([[0.0, 90.0, 0.0, 0.0]], requires_grad=True)
    loss = evaluated(name, logits, clean=[[0.0, 80.0, 0.0, 0.0]], targets=[1])
    loss.sum().backward()
    assert loss.isfinite().all()
    assert logits.grad.isfinite().all()


def test_distil_pulls_every_pixel_towards_the_stored_map():
    reference = torch.tensor([[[0.0, 1.0], [0.5, 0.25]]], dtype=torch.float64)
    m = torch.full((1, 2, 2), 0.5, dtype=torch.float64, requires_grad=True)
    views = Views(torch.zeros(1, 2), torch.zeros(1, dtype=torch.long), m, reference=reference)
    loss = LOSSES["distil"].value.function(views)
    loss.sum().backward()
    assert loss.tolist() == [pytest.approx((0.25 + 0.25 + 0 + 0.0625) / 4)]
    assert torch.equal(m.grad.sign(), (0.5 - reference).sign())


def second_moment(m):
    n, total = len(m), sum(map(sum, m))
    places = [(i / n, j / n, m[i][j] / total) for i in range(n) for j in range(n)]
    cy, cx = sum(y * p for y, _, p in places), sum(x * p for _, x, p in places)
    return sum(p * ((y - cy) ** 2 + (x - cx) ** 2) for y, x, p in places)


def variation(m):
    n = len(m)
    across = [abs(m[i][j + 1] - m[i][j]) for i in range(n) for j in range(n - 1)]
    down = [abs(m[i + 1][j] - m[i][j]) for i in range(n - 1) for j in range(n)]
    return sum(across) / len(across) + sum(down) / len(down)


def mean(m, f=lambda value: value):
    return sum(f(value) for row in m for value in row) / len(m) ** 2


MAPS_BY_HAND = {
    "l1": mean,
    "l2": lambda m: mean(m, lambda v: v * v),
    "area": lambda m: abs(mean(m) - 0.3),
    "area(target=0.9)": lambda m: abs(mean(m) - 0.9),
    "area-band": lambda m: max(0, 0.05 - mean(m)) + max(0, mean(m) - 0.3),
    "area-band(low=0.6,high=0.7)": lambda m: max(0, 0.6 - mean(m)) + max(0, mean(m) - 0.7),
    "sparsity": lambda m: mean(m, lambda v: (v + 5e-4) ** 0.3),
    "binary": lambda m: mean(m, lambda v: v * (1 - v)),
    "compactness": second_moment,
    "tv": variation,
}


def regularised(text, maps):
    spec = REGULARISERS.spec(text)
    return spec.value(maps, **spec.params)


@pytest.mark.parametrize("text", MAPS_BY_HAND)
def test_a_regulariser_is_what_its_formula_says(text):
    maps = torch.rand(3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = [MAPS_BY_HAND[text](m) for m in maps.tolist()]
    assert regularised(text, maps).tolist() == pytest.approx(expected, rel=1e-12)


def test_every_regulariser_is_checked_by_hand():
    assert {entry.name for entry in REGULARISERS} == {text.partition("(")[0] for text in MAPS_BY_HAND}


@pytest.mark.parametrize(
    ("text", "m", "sign"),
    [("l1", 0.5, 1), ("l2", 0.5, 1), ("sparsity", 0.5, 1), ("area", 0.5, 1), ("area", 0.1, -1), ("area-band", 0.5, 1),
     ("area-band", 0.01, -1), ("area-band", 0.2, 0), ("binary", 0.2, 1), ("binary", 0.8, -1)],
)  # fmt: skip
def test_descent_moves_a_flat_map_the_way_the_regulariser_means(text, m, sign):
    maps = torch.full((1, 4, 4), m, requires_grad=True)
    regularised(text, maps).sum().backward()
    assert (maps.grad.sign() == sign).all()


def test_compactness_is_a_sixth_for_a_full_map_and_nothing_for_a_point_and_an_empty_map():
    full, point, empty = torch.ones(64, 64), torch.zeros(64, 64), torch.zeros(64, 64)
    point[3, 40] = 0.2
    found = regularised("compactness", torch.stack([full, point, empty]))
    assert found[0] == pytest.approx(1 / 6, rel=1e-3)
    assert found[1:].tolist() == pytest.approx([0, 0], abs=1e-9)


@pytest.mark.parametrize("name", [entry.name for entry in REGULARISERS])
def test_a_map_that_shows_nothing_has_a_finite_gradient(name):
    maps = torch.zeros(1, 8, 8, requires_grad=True)
    regularised(name, maps).sum().backward()
    assert maps.grad.isfinite().all()


def test_compactness_draws_weight_from_afar_to_the_centroid():
    maps = torch.zeros(1, 9, 9)
    maps[0, 3:6, 3:6] = 1
    maps.requires_grad_()
    regularised("compactness", maps).sum().backward()
    assert maps.grad[0, 0, 0] > 0 > maps.grad[0, 4, 4]


def test_total_variation_lowers_a_lone_peak():
    maps = torch.zeros(1, 5, 5)
    maps[0, 2, 2] = 1
    maps.requires_grad_()
    regularised("tv", maps).sum().backward()
    assert maps.grad[0, 2, 2] > 0 > maps.grad[0, 2, 1]


def test_terms_are_read_with_parameters_and_weights():
    first, second, third = parse_terms("ce=1.5, destroy(margin=2)=.5,kl", LOSSES)
    assert (first.label, first.weight) == ("ce", 1.5)
    assert (second.label, second.weight, second.spec.params) == ("destroy(margin=2.0)", 0.5, {"margin": 2.0})
    assert (third.label, third.weight) == ("kl", 1.0)
    assert parse_terms("", REGULARISERS) == ()
    (band,) = parse_terms("area-band(low=0.2,high=0.4)=2", REGULARISERS)
    assert band.weight == 2
    assert band.spec.params == {"low": 0.2, "high": 0.4}


@pytest.mark.parametrize(
    ("text", "message"),
    [("cee", "did you mean 'ce'"), ("ce=high", "must be a number, not 'high'"), ("ce,ce=2", "given 2 times"),
     ("destroy(margn=1)", "has no parameter 'margn'"), ("(x)=1", "cannot read loss")],
)  # fmt: skip
def test_a_term_that_cannot_be_read_is_told(text, message):
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        parse_terms(text, LOSSES)


def scene(mask, share=0.3):
    images = photo(len(mask))
    return Scene(images, mask, torch.full_like(images, 0.25), torch.full((len(mask),), share), torch.tensor(MEAN))


def test_masked_and_complement_are_the_image_at_one_end_and_the_background_at_the_other():
    ones, zeros = scene(torch.ones(2, 32, 32)), scene(torch.zeros(2, 32, 32))
    assert torch.equal(COMPOSITIONS["masked"](ones), ones.images)
    assert torch.equal(COMPOSITIONS["masked"](zeros), zeros.background)
    assert torch.equal(COMPOSITIONS["complement"](ones), ones.background)
    assert torch.equal(COMPOSITIONS["complement"](zeros), zeros.images)
    half = scene(torch.full((2, 32, 32), 0.5))
    torch.testing.assert_close(COMPOSITIONS["masked"](half), 0.5 * half.images + 0.125)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.75])
def test_the_kept_pixels_are_that_share_of_the_most_important_ones_whatever_the_map_spans(share):
    ramp = torch.linspace(0.4, 0.5, 32 * 32).reshape(1, 32, 32)
    kept = scene(ramp, share).kept[0, 0].flatten()
    assert set(kept.tolist()) <= {0.0, 1.0}
    assert kept.mean() == pytest.approx(share, abs=0.002)
    assert (kept.diff() >= 0).all()


def test_pixels_near_the_threshold_feel_it_and_a_narrow_map_feels_it_as_a_wide_one_does():
    """d kept / d m, times the map's span, is the same for a ramp from 0 to 1 and for one from 0.4 to 0.5."""
    gradients = []
    for low, high in ((0.0, 1.0), (0.4, 0.5)):
        ramp = torch.linspace(low, high, 32 * 32, dtype=torch.float64).reshape(1, 32, 32).requires_grad_()
        scene(ramp, 0.5).kept.sum().backward()
        gradients.append(ramp.grad.flatten() * (high - low))
    wide, narrow = gradients
    torch.testing.assert_close(wide, narrow)
    assert wide.argmax() == pytest.approx(512, abs=2)
    assert wide.max() == pytest.approx(0.25 / 0.05, rel=0.01)  # a sigmoid's slope at 0, τ a quarter of the span of 0.2
    assert wide[[0, -1]].max() < 0.01


@pytest.mark.parametrize("share", [0.1, 0.3, 0.75])
def test_a_soft_threshold_keeps_most_of_that_share_and_blends_a_flat_map(share):
    ramp = torch.linspace(0.4, 0.5, 32 * 32).reshape(1, 32, 32)
    kept = scene(ramp, share).softly_kept[0, 0].flatten()
    assert (kept > 0.5).float().mean() == pytest.approx(share, abs=0.002)
    rank = torch.linspace(0, 1, 32 * 32)
    assert (kept[rank > 1 - share + 0.3] > 0.99).all()
    assert (kept[rank < 1 - share - 0.3] < 0.01).all()
    flat = torch.full((1, 32, 32), 0.9)
    flat[0, 0, 0] = 0
    assert scene(flat, share).softly_kept[0, 0, 5:].unique().tolist() == [0.5]


def test_inserted_and_deleted_images_lie_on_the_paths_of_the_metrics():
    """Far above the threshold they show the image, and the black one; far below the blurred one, and the image."""
    ramp = torch.linspace(0, 1, 32 * 32).reshape(1, 32, 32)
    one = scene(ramp, 0.5)
    inserted, deleted = COMPOSITIONS["inserted"](one)[0], COMPOSITIONS["deleted"](one)[0]
    blurred = fill(one.images[0], "blur-11-5", torch.tensor(MEAN))
    near = {"rtol": 0, "atol": 1e-3}
    torch.testing.assert_close(inserted[:, -4:], one.images[0, :, -4:], **near)
    torch.testing.assert_close(inserted[:, :4], blurred[:, :4], **near)
    torch.testing.assert_close(deleted[:, :4], one.images[0, :, :4], **near)
    torch.testing.assert_close(deleted[:, -4:], torch.zeros(3, 4, 32), **near)


def test_descent_on_deletion_moves_the_map_up_where_the_class_is():
    """A net whose class is the brightness of the upper half: the map there must rise, and elsewhere not."""
    mask = torch.full((1, 32, 32), 0.5) + 0.01 * torch.rand(1, 32, 32, generator=torch.Generator().manual_seed(0))
    mask[0, 0, 0], mask[0, 31, 31] = 0, 1
    mask.requires_grad_()
    one = Scene(torch.ones(1, 3, 32, 32), mask, torch.zeros(1, 3, 32, 32), torch.tensor([0.5]), torch.tensor(MEAN))
    score = COMPOSITIONS["deleted"](one)[:, :, :16].mean()
    score.backward()
    inside = mask.grad[0, 1:16]
    assert (inside <= 0).all()
    assert (inside < 0).any()
    assert mask.grad[0, 16:31].abs().max() == 0


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_a_background_is_an_image_that_depends_on_the_seed_only(name):
    images, colour = photo(3), torch.tensor(MEAN)
    first, again = (BACKGROUNDS[name](images, colour, torch.Generator().manual_seed(5)) for _ in range(2))
    assert first.shape == images.shape
    assert torch.equal(first, again)
    assert first.min() >= -1e-6
    assert first.max() <= 1 + 1e-6


def test_backgrounds_have_known_answers():
    images, colour, generator = photo(2), torch.tensor(MEAN), torch.Generator().manual_seed(0)
    draw = {name: BACKGROUNDS[name](images, colour, generator) for name in BACKGROUNDS}
    assert draw["black"].abs().max() == 0
    torch.testing.assert_close(draw["mean"], fill(images[0], "mean", colour).expand(2, 3, 32, 32))
    torch.testing.assert_close(draw["blur"][1], fill(images[1], "blur-11-5", colour))
    expected = gaussian_filter(images.numpy(), (0, 0, 11, 11), mode="mirror", radius=27)
    np.testing.assert_allclose(draw["blur-55-11"].numpy(), expected, atol=1e-5)
    assert draw["noise"].std((2, 3)).mean() == pytest.approx(0.055, rel=0.1)


def test_the_random_background_is_now_one_and_now_another():
    images, colour = photo(1), torch.tensor(MEAN)
    means = {round(BACKGROUNDS["random"](images, colour, torch.Generator().manual_seed(s)).mean().item(), 3)
             for s in range(20)}  # fmt: skip
    assert len(means) > 3


def test_an_unknown_background_is_told():
    with pytest.raises(UsageError, match="did you mean 'black'"):
        background("blakc")
