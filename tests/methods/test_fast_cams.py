"""The fast ways of the native CAMs against the plain ones: the same maps, and no pass more than needed."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.classifier import Classifier
from methods.ablation_cam import ablation_cam
from methods.occlusion import occlusion
from methods.opti_cam import opti_cam
from methods.score_cam import score_cam
from tests.toys import MEAN, SIZE, STD, TOYS, photo, toy_classifier

TARGETS = torch.tensor([0, 4, 6])
KINDS = ("gap_linear", "deep_head", "signed_features", "tokens", "residual_bypass")


def with_twins() -> Classifier:
    """The 8 maps of its layer: one empty, one 2 everywhere, two equal ones, four others."""
    net = TOYS["gap_linear"]()
    conv = [module for module in net.features if isinstance(module, nn.Conv2d)][-1]
    conv.weight.data[:2] = 0
    conv.bias.data[0], conv.bias.data[1] = -1, 2
    conv.weight.data[5], conv.bias.data[5] = conv.weight.data[3], conv.bias.data[3]
    return Classifier(net, name="twins", layer="features[-1]", input_size=SIZE, mean=MEAN, std=STD)


def plain_score_cam(classifier: Classifier, images: Tensor, probability: bool, eps: float) -> Tensor:
    """Channel by channel: constant maps are left out (paper, authors' code) unless `eps` is added to the extent."""
    drawn = []
    for image, c in zip(images, TARGETS, strict=True):
        A = classifier.features(image[None])[0]
        kept = [a for a in A if eps or a.max() > a.min()]
        scores = []
        for a in kept:
            mask = F.interpolate(a[None, None], (SIZE, SIZE), mode="bilinear", align_corners=eps > 0)
            mask = (mask - mask.min()) / (mask.max() - mask.min() + eps)
            behind = 0 if not (probability or eps) else classifier.mean.view(3, 1, 1)
            logits = classifier.logits(behind + mask * (image - behind))[0]
            scores.append(logits.softmax(0)[c] if probability else logits[c])
        weights = torch.stack(scores) if probability else torch.stack(scores).softmax(0)
        drawn.append(sum(w * a for w, a in zip(weights, kept, strict=True)))
    return torch.stack(drawn)


@pytest.mark.parametrize(
    ("variant", "probability", "eps", "scored"),
    [("paper", False, 0, 5), ("official", True, 0, 5), ("pytorch-grad-cam", False, 1e-8, 7)],
)
def test_score_cam_passes_each_different_live_map_once_and_draws_what_the_loop_draws(variant, probability, eps, scored):
    """Of 8 maps two are constant and two equal: 5 are scored, or 7 where constant ones count, after a pass for A."""
    classifier, images = with_twins(), photo(3)
    A = classifier.features(images)
    assert [len(torch.unique(maps, dim=0)) for maps in A] == [7, 7, 7]
    slow = plain_score_cam(classifier, images, probability, eps)
    for chunk in (64, 4):
        with classifier.tally() as tally:
            maps = score_cam(classifier, images, TARGETS, variant=variant, chunk=chunk)
        assert (tally.forward, tally.head, tally.backward) == (3 * (1 + scored), 0, 0)
        torch.testing.assert_close(maps, slow, rtol=1e-5, atol=1e-5)


def test_score_cam_fills_its_batches_with_masks_of_several_images(monkeypatch):
    classifier, passed = with_twins(), []
    logits = classifier.logits
    monkeypatch.setattr(classifier, "logits", lambda images: passed.append(len(images)) or logits(images))
    score_cam(classifier, photo(3), TARGETS, chunk=4)
    assert passed == [4, 4, 4, 3]


def test_score_cam_of_an_image_without_a_live_map_beside_others_is_zero():
    """A black image, behind convolutions without bias, has empty maps."""
    net = TOYS["gap_linear"]()
    for module in net.features:
        if isinstance(module, nn.Conv2d):
            module.bias.data.zero_()
    classifier = Classifier(net, name="no-bias", layer="features[-1]", input_size=SIZE)
    images = photo(3)
    images[1] = 0
    with classifier.tally() as tally:
        maps = score_cam(classifier, images, TARGETS)
    assert not maps[1].any()
    assert maps[[0, 2]].abs().amax((1, 2)).min() > 0
    assert tally.forward == 3 + sum((a.amax((1, 2)) > a.amin((1, 2))).sum() for a in classifier.features(images))


def test_ablation_cam_behind_pooling_and_a_linear_layer_runs_no_head_and_equals_the_runs_of_the_head():
    classifier, images = toy_classifier("gap_linear", dtype=torch.float64), photo(3).double()
    assert classifier.linear is not None
    for absolute in (False, True):
        with classifier.tally() as tally:
            closed = ablation_cam(classifier, images, TARGETS, absolute=absolute)
        assert (tally.forward, tally.head, tally.backward) == (3, 0, 0)
        classifier.linear, linear = None, classifier.linear
        with classifier.tally() as tally:
            runs = ablation_cam(classifier, images, TARGETS, absolute=absolute, chunk=3)
        classifier.linear = linear
        assert (tally.forward, tally.head, tally.backward) == (3, 3 * (1 + 8), 0)
        torch.testing.assert_close(closed, runs, rtol=1e-9, atol=1e-9)


def test_ablation_cam_of_a_net_that_cannot_be_traced_needs_one_pass_where_the_head_is_linear():
    classifier = toy_classifier("branching")
    assert not classifier.traced
    with classifier.tally() as tally:
        maps = ablation_cam(classifier, photo(3), TARGETS)
    assert (tally.forward, tally.head) == (3, 0)
    torch.testing.assert_close(maps, ablation_cam(toy_classifier("gap_linear"), photo(3), TARGETS))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "lr"), [(torch.float32, 0.1), (torch.float64, 4.0)])
def test_opti_cam_of_a_batch_is_that_of_each_image_alone(kind, dtype, lr):
    """Also at so long steps that images stop at different times: passes add up too."""
    classifier, images = toy_classifier(kind, dtype=dtype), photo(3).to(dtype)
    draw = partial(opti_cam, classifier, steps=20, lr=lr)
    with classifier.tally() as together:
        maps = draw(images, TARGETS)
    with classifier.tally() as alone:
        single = torch.cat([draw(images[i : i + 1], TARGETS[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(maps, single, rtol=1e-4, atol=1e-4 * float(single.abs().max()))
    assert together.forward == alone.forward


def test_opti_cam_runs_whole_batches_and_needs_no_gradient_of_weights_or_of_the_trunk(monkeypatch):
    classifier, images, passed = toy_classifier("deep_head"), photo(3), []
    logits = classifier.logits
    monkeypatch.setattr(classifier, "logits", lambda images: passed.append(len(images)) or logits(images))
    trunk, drawn = classifier.trunk, []
    monkeypatch.setattr(classifier, "trunk", lambda images: drawn.append(trunk(images)) or drawn[-1])
    opti_cam(classifier, images, TARGETS, steps=5, early_stop=False)
    assert passed == [3] * 5
    ((A, rest),) = drawn
    assert not any(tensor.requires_grad for tensor in (A, *rest))
    assert not any(p.requires_grad or p.grad is not None for p in classifier.module.parameters())


@pytest.mark.parametrize("count", [1, 3, 20])
def test_occlusion_fills_its_batches_with_squares_of_several_images(count):
    """16 squares on each image; no batch over 32, and no more of them than images that share their squares need."""
    classifier, passed = toy_classifier("deep_head"), []
    handle = classifier.module.register_forward_pre_hook(lambda module, inputs: passed.append(len(inputs[0])))
    images, targets = photo(count), torch.arange(count) % 7
    maps = occlusion(classifier, images, targets, window=0.25, stride=0.25)
    handle.remove()
    assert max(passed) <= 32
    assert sum(passed) == count * (1 + 16)
    assert len(passed) == {1: 1 + 1, 3: 1 + 2, 20: (1 + 8) + (1 + 2)}[count]
    alone = torch.cat([occlusion(classifier, images[i : i + 1], targets[i : i + 1], window=0.25, stride=0.25)
                       for i in (0, count - 1)])  # fmt: skip
    torch.testing.assert_close(maps[[0, -1]], alone, rtol=1e-4, atol=1e-5)
