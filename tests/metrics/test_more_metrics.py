"""Perturbation curves, ROAD, ADCC, ARCC, stability and segmentation against their definitions written out."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve
from torch import Tensor

from bench.core.metric import METRICS, Case, Scores
from bench.core.protocols import protocol
from metrics.composite import adcc, arcc
from metrics.imputation import imputed
from metrics.road import LEVELS, both_orders, noisily_imputed
from metrics.stability import infidelity, max_sensitivity
from tests.toys import MEAN, SIZE, photo, toy_classifier

CLEAN = protocol("clean")


def case(saliency: Tensor, image: Tensor | None = None, **facts: Any) -> Case:
    size = saliency.shape[-1]
    shown = photo(1, size)[0] if image is None else image
    return Case(shown, saliency, saliency, 4, 4, CLEAN, torch.tensor(MEAN), 7, **facts)


def ramp(size: int = SIZE) -> Tensor:
    return (torch.arange(size * size, dtype=torch.float32) / (size * size - 1)).view(size, size)


def value(name: str, one: Case, derived: Tensor, untouched: Tensor | None = None) -> float:
    metric = METRICS[name].value
    known = derived[:1] if untouched is None else untouched
    found = metric.function(Scores(known.reshape(-1, known.shape[-1])[0].double(), derived.double(), one))
    return float(found if isinstance(found, float) else found.value)


@pytest.mark.parametrize("name", ["POS", "NEG"])
def test_perturbation_is_the_loop_over_nine_levels(name: str) -> None:
    classifier, one = toy_classifier("deep_head"), case(ramp())
    derived = torch.cat(list(METRICS[name].value.derive(one)))  # type: ignore[attr-defined]
    order = sorted(range(SIZE * SIZE), key=lambda i: -i if name == "POS" else i)  # the ramp's largest value is last
    hits = []
    for level in range(1, 10):
        pixels = one.image.clone().flatten(1)
        pixels[:, order[: round(level * SIZE * SIZE / 10)]] = 0
        torch.testing.assert_close(derived[level - 1], pixels.view_as(one.image))
        hits.append(float(classifier.logits(pixels.view(1, 3, SIZE, SIZE)).argmax() == 4))
    logits = classifier.logits(derived).log_softmax(1)
    assert value(name, one, logits) == pytest.approx(sum(hits) / 9)


def neighbours(y: int, x: int, size: int) -> list[tuple[int, int, float]]:
    near = [(y + dy, x + dx, 1 / 6 if dy * dx == 0 else 1 / 12)
            for dy, dx in itertools.product((-1, 0, 1), repeat=2) if (dy, dx) != (0, 0)]  # fmt: skip
    return [(i, j, w) for i, j, w in near if 0 <= i < size and 0 <= j < size]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("shape", ["noise", "hole"])
def test_imputation_is_the_sparse_systems_solution(share: float, shape: str) -> None:
    """Every removed pixel equals the weighted mean of its neighbours; the system is solved directly here."""
    size, image = 24, photo(1, 24)[0]
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    hole = ((y - 11.5) ** 2 + (x - 13.0) ** 2).float()
    noise = torch.rand(size, size, generator=torch.Generator().manual_seed(0))
    ranks = (noise if shape == "noise" else hole).flatten().argsort().argsort().view(size, size)
    removed = ranks < round(share * size * size)
    place = {(i, j): k for k, (i, j) in enumerate(removed.nonzero().tolist())}
    system, right = lil_matrix((len(place), len(place))), np.zeros((len(place), 3))
    for (i, j), k in place.items():
        near = neighbours(i, j, size)
        system[k, k] = sum(w for *_, w in near)
        for a, b, w in near:
            if (a, b) in place:
                system[k, place[a, b]] = -w
            else:
                right[k] += w * image[:, a, b].numpy()
    exact = spsolve(system.tocsr(), right)
    expected = image.clone()
    for (i, j), k in place.items():
        expected[:, i, j] = torch.from_numpy(exact[k]).float()
    both = torch.stack([removed, torch.zeros_like(removed)])
    found = imputed(image, both)
    assert (found[0] - expected).abs().max() < 1e-3
    assert torch.equal(found[1], image)


def test_where_nothing_is_known_imputation_is_black_and_a_constant_stays() -> None:
    everything = torch.ones(1, 8, 8, dtype=torch.bool)
    assert imputed(photo(1, 8)[0], everything).abs().max() == 0
    removed = ramp(8) > 0.4
    torch.testing.assert_close(imputed(torch.full((3, 8, 8), 0.7), removed[None])[0], torch.full((3, 8, 8), 0.7))


def test_road_removes_by_rank_however_many_pixels_tie() -> None:
    one = case(torch.zeros(SIZE, SIZE).index_fill(0, torch.arange(4), 1.0))
    for images, ranks in zip(both_orders(one), (one.ranks, SIZE * SIZE - 1 - one.ranks), strict=True):
        for level, derived in zip(LEVELS, images, strict=True):
            kept = ranks >= round(level * SIZE * SIZE / 10)
            torch.testing.assert_close(derived[:, kept], one.image[:, kept])
    noise = noisily_imputed(one, one.ranks)[4] - imputed(one.image, one.ranks[None] < SIZE * SIZE // 2)[0]
    assert noise[:, one.ranks < SIZE * SIZE // 2].std().item() == pytest.approx(0.01, rel=0.15)


def test_road_is_half_the_mean_difference_of_the_orders() -> None:
    p = torch.rand(18, generator=torch.Generator().manual_seed(0)).double()
    rows = torch.log(torch.stack([p if c == 4 else (1 - p) / 6 for c in range(7)], 1))
    assert value("ROAD", case(ramp()), rows) == pytest.approx(((p[9:] - p[:9]).mean() / 2).item())


def explained(images: Tensor, targets: Tensor | None = None) -> Tensor:
    """A map that depends on the image: its red channel, min-maxed."""
    red = images[:, 0]
    low, high = red.amin((1, 2), keepdim=True), red.amax((1, 2), keepdim=True)
    return (red - low) / (high - low).clamp_min(1e-12)


def parts_of(one: Case, classifier: Any) -> tuple[float, float, float]:
    """Coherency, complexity and drop."""
    masked = one.image * one.map
    again = explained(masked[None])[0]
    r = np.corrcoef(one.map.flatten().double(), again.flatten().double())[0, 1]
    p, o = (classifier.logits(x[None]).double().softmax(1)[0, 4].item() for x in (one.image, masked))
    return (1 + r) / 2, one.map.mean().item(), max(0.0, p - o) / p


def test_adcc_is_the_harmonic_mean_of_its_parts() -> None:
    classifier, image = toy_classifier("deep_head"), photo(1)[0]
    one = case(explained(image[None])[0], image)
    coherent, complex_, drop = parts_of(one, classifier)
    expected = 3 / (1 / coherent + 1 / (1 - complex_) + 1 / (1 - drop))
    assert adcc(one, explained, classifier) == pytest.approx(expected, abs=1e-5)


def test_adcc_of_a_map_that_shows_everything_is_nought() -> None:
    one = case(torch.ones(SIZE, SIZE))
    assert adcc(one, lambda images, targets: torch.ones_like(images[:, 0]), toy_classifier("deep_head")) == 0


def test_arcc_is_the_geometric_mean_with_road() -> None:
    classifier, image = toy_classifier("deep_head"), photo(1)[0]
    for saliency in (explained(image[None])[0], 1 - explained(image[None])[0]):
        one = case(saliency, image)
        coherent, complex_, _ = parts_of(one, classifier)
        p = torch.cat([classifier.logits(images).double().softmax(1)[:, 4] for images in both_orders(one)])
        road = min(max(2 * ((p[9:] - p[:9]).mean() / 2).item(), 0), 1)
        expected = (coherent * (1 - complex_) * road) ** (1 / 3)
        assert arcc(one, explained, classifier) == pytest.approx(expected, abs=1e-4)


def test_max_sensitivity_of_a_constant_map_is_nought_and_grows_with_what_the_map_follows() -> None:
    image = photo(1)[0]
    flat = case(torch.full((SIZE, SIZE), 0.5), image)
    assert max_sensitivity(flat, lambda images, targets: flat.map[None], None) == 0
    own = case(explained(image[None])[0], image)
    found = max_sensitivity(own, explained, None)
    assert 0 < found < 0.1
    doubled = max_sensitivity(own, lambda images, targets: own.map + 2 * (explained(images) - own.map), None)
    assert doubled == pytest.approx(2 * found, rel=1e-5)


class Additive:
    """A network whose class logit is a weighted sum of pixels."""

    def __init__(self, weights: Tensor):
        self.weights = weights

    def score(self, images: Tensor) -> Tensor:
        return (images.mean(1) * self.weights).sum((1, 2))[:, None].expand(-1, 7)


def test_infidelity_of_the_exact_attribution_is_nought_at_any_scale() -> None:
    weights, image = torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(0)), photo(1)[0]
    exact = image.mean(0) * weights
    for scale in (1.0, 0.01, 30.0):
        assert infidelity(case(scale * exact, image), explained, Additive(weights)) < 1e-6
    assert infidelity(case(torch.zeros(SIZE, SIZE), image), explained, Additive(weights)) == 1
    assert infidelity(case(ramp(), image), explained, Additive(torch.zeros(SIZE, SIZE))) == 0
    other = infidelity(case(torch.rand(SIZE, SIZE), image), explained, Additive(weights))
    assert 0.3 < other <= 1


def test_segmentation_is_counted_over_the_annotated_pixels() -> None:
    """Four pixels: right object, wrong object, right background, ignored."""
    saliency = torch.tensor([[0.9, 0.8], [0.1, 0.2]])
    mask = torch.tensor([[1, 0], [0, 255]], dtype=torch.uint8)
    one = case(saliency, torch.zeros(3, 2, 2), mask=mask)
    assert METRICS["PIXACC"].value.function(one) == pytest.approx(2 / 3)
    assert METRICS["MIOU"].value.function(one) == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert math.isnan(METRICS["MIOU"].value.function(case(saliency, torch.zeros(3, 2, 2))))


def test_entropy_runs_from_a_single_pixel_to_a_constant() -> None:
    entropy = METRICS["ENTROPY"].value.function
    single = torch.zeros(4, 4)
    single[1, 2] = 1
    assert entropy(case(single, torch.zeros(3, 4, 4))) == 0
    assert entropy(case(torch.ones(4, 4), torch.zeros(3, 4, 4))) == pytest.approx(1)
    half = torch.cat([torch.ones(2, 4), torch.zeros(2, 4)])
    assert entropy(case(half, torch.zeros(3, 4, 4))) == pytest.approx(math.log(8) / math.log(16))


def test_the_drop_in_deletion_is_that_of_the_complement() -> None:
    one = case(ramp())
    derived = next(METRICS["ADD"].value.derive(one))  # type: ignore[attr-defined]
    torch.testing.assert_close(derived[0], one.image * (1 - ramp()))
    rows = torch.log(torch.tensor([[0.1 / 6] * 4 + [0.9] + [0.1 / 6] * 2, [0.7 / 6] * 4 + [0.3] + [0.7 / 6] * 2]))
    assert value("ADD", one, rows[1:], rows[:1]) == pytest.approx(2 / 3, rel=1e-4)
