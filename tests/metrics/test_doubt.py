"""Randomised parameters and other classes, by explainers whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity

import metrics  # noqa: F401
from bench.core.metric import METRICS, Case
from bench.core.protocols import PROTOCOLS
from metrics.randomisation import from_the_output, one_by_one, quarters
from tests.toys import photo, toy_classifier

NET = toy_classifier("gap_linear")
IMAGE = photo(1)[0]
RANDOMISED = ["MPRT1", "MPRT", "IPRT", "MPRT-SSIM", "IPRT-SSIM"]


def cam(images, targets):
    """CAM at the size of the features, in [0, 1]."""
    maps = torch.einsum("k,bkhw->bhw", NET.net.fc.weight[targets[0]], NET.features(images))
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return ((maps - low) / (high - low)).detach()


def value(name, explain, target=2):
    one = explain(IMAGE[None], torch.tensor([target]))[0]
    case = Case(IMAGE, one, one, target, target, PROTOCOLS["clean"].value, torch.zeros(3), 11)
    return METRICS[name].value.function(case, explain, NET)


@pytest.mark.parametrize("name", RANDOMISED)
def test_a_map_that_ignores_the_network_is_unmoved(name):
    assert value(name, lambda images, targets: images.mean(1)) == pytest.approx(1)


@pytest.mark.parametrize("name", RANDOMISED)
def test_a_map_of_the_network_moves_and_the_network_comes_back(name):
    before = NET.logits(IMAGE[None]).clone()
    assert value(name, cam) < 0.99
    assert torch.equal(NET.logits(IMAGE[None]), before)


def test_the_cascade_is_the_mean_over_layers_from_the_output_down():
    """The toy has three layers, so that the quarters begin at layers 0, 1 and 2."""
    layers = NET.parametric
    assert [type(layer).__name__ for layer in layers] == ["Conv2d", "Conv2d", "Linear"]
    assert quarters(3) == [0, 1, 2]
    assert quarters(8) == [0, 2, 4, 6]
    assert list(from_the_output("abc")) == ["c", "bc", "abc"]
    assert list(one_by_one("abc")) == ["a", "b", "c"]
    own = cam(IMAGE[None], torch.tensor([2]))[0]
    ranks, structures = [], []
    for first in (2, 1, 0):
        with NET.randomised(11, layers[first:]):
            other = cam(IMAGE[None], torch.tensor([2]))[0]
        ranks.append(spearmanr(own.flatten(), other.flatten()).statistic)
        structures.append(structural_similarity(own.double().numpy(), other.double().numpy(), data_range=1.0))
    assert value("MPRT", cam) == pytest.approx(np.mean(ranks))
    assert value("MPRT-SSIM", cam) == pytest.approx(np.mean(structures))


def test_contrast_asks_for_the_next_and_the_least_class():
    order = NET.score(IMAGE[None])[0].argsort(descending=True).tolist()
    asked = []

    def explain(images, targets):
        asked.append(int(targets[0]))
        return cam(images, targets)

    top = value("CONTRAST", explain, target=order[0])
    least = value("CONTRAST-LEAST", explain, target=order[0])
    assert asked == [order[0], order[1], order[0], order[-1]]
    maps = [cam(IMAGE[None], torch.tensor([index]))[0].flatten() for index in (order[0], order[1], order[-1])]
    assert top == pytest.approx(spearmanr(maps[0], maps[1]).statistic)
    assert least == pytest.approx(spearmanr(maps[0], maps[2]).statistic)
    asked.clear()
    value("CONTRAST", explain, target=order[1])
    assert asked == [order[1], order[0]]


@pytest.mark.parametrize("name", ["CONTRAST", "CONTRAST-LEAST"])
def test_a_map_without_a_class_has_no_contrast(name):
    assert value(name, lambda images, targets: images.mean(1)) == pytest.approx(1)
