"""CAM, Ablation-CAM and Score-CAM against slow loops over the whole net, and against pytorch-grad-cam."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pytorch_grad_cam import ScoreCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

import methods  # noqa: F401
from bench.core.classifier import Classifier
from bench.core.explainer import EXPLAINERS
from tests.toys import MEAN, SIZE, STD, TOYS, photo, toy_classifier

KINDS = ("gap_linear", "deep_head", "signed_features", "tokens", "residual_bypass")
TARGETS = torch.tensor([0, 4, 6])
VARIANTS = ("paper", "official", "pytorch-grad-cam", "castream", "torch-cam")


def draw(name: str, classifier: Classifier, images: Tensor, targets: Tensor = TARGETS, **params: Any) -> Tensor:
    return EXPLAINERS[name].value.function(classifier, images, targets, **params)


def normalised(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(value).view(3, 1, 1).to(images) for value in (MEAN, STD))
    return (images - mean) / std


def test_cam_is_the_weighted_sum_and_its_mean_the_logit_without_bias() -> None:
    classifier, images, net = toy_classifier(), photo(3), TOYS["gap_linear"]()
    A = net.features(normalised(images))
    slow = torch.stack([sum(w * a for w, a in zip(net.fc.weight[c], A[i])) for i, c in enumerate(TARGETS)])  # noqa: B905
    maps = draw("cam", classifier, images)
    torch.testing.assert_close(maps, slow.detach())
    assert maps.min() < 0  # no ReLU
    logits = net(normalised(images))[range(3), TARGETS]
    torch.testing.assert_close(maps.mean((1, 2)), (logits - net.fc.bias[TARGETS]).detach())


def test_cam_is_skipped_with_a_reason_where_the_head_is_deeper() -> None:
    skip = EXPLAINERS["cam"].value.skip
    assert skip(toy_classifier("gap_linear")) is None
    assert "linear" in (skip(toy_classifier("deep_head")) or "")


@pytest.mark.parametrize("kind", ["gap_linear", "deep_head", "signed_features", "residual_bypass"])
def test_ablation_cam_equals_a_loop_over_the_whole_net(kind: str) -> None:
    """A hook on the untouched net sets one channel to 0 at a time."""
    classifier, images, net = toy_classifier(kind, dtype=torch.float64), photo(3).double(), TOYS[kind]().double()
    layer = net.features[-1].block[5] if kind == "residual_bypass" else net.features[-1]
    A, clean = classifier.features(images), net(normalised(images))[range(3), TARGETS]
    slow = torch.zeros_like(A[:, 0])
    for k in range(A.shape[1]):

        def ablate(module: nn.Module, inputs: Any, output: Tensor, k: int = k) -> Tensor:
            output = output.clone()
            output[(..., k) if kind == "residual_bypass" else (slice(None), k)] = 0
            return output

        handle = layer.register_forward_hook(ablate)
        ablated = net(normalised(images))[range(3), TARGETS]
        handle.remove()
        slow += ((clean - ablated) / clean)[:, None, None].detach() * A[:, k]
    assert slow.abs().amax((1, 2)).min() > 1e-3
    for chunk in (64, 3):
        torch.testing.assert_close(draw("ablation-cam", classifier, images, chunk=chunk), slow, rtol=1e-9, atol=1e-9)


def test_ablation_cam_weights_of_a_linear_head_and_the_sign_rule() -> None:
    classifier, images = toy_classifier(dtype=torch.float64), photo(1).double().expand(7, -1, -1, -1)
    targets = torch.arange(7)
    assert classifier.linear is not None
    weight, A, logits = classifier.linear[0], classifier.features(images), classifier.logits(images).diagonal()
    assert logits.min() < 0 < logits.max()
    expected = torch.einsum("bk,bkhw->bhw", weight * A.mean((2, 3)) / logits[:, None], A)
    torch.testing.assert_close(draw("ablation-cam", classifier, images, targets), expected)
    flipped = draw("ablation-cam", classifier, images, targets, absolute=True)
    torch.testing.assert_close(flipped, expected * logits.sign()[:, None, None])


def test_ablation_cam_at_a_logit_of_zero_is_finite() -> None:
    net = TOYS["gap_linear"]()
    net.fc.weight.data.zero_()
    net.fc.bias.data.zero_()
    classifier = Classifier(net, name="zero", layer="features[-1]", input_size=SIZE)
    assert torch.equal(draw("ablation-cam", classifier, photo(3)), torch.zeros(3, 8, 8))


def test_ablation_cam_of_the_library_agrees_where_the_least_activation_is_zero() -> None:
    """Its layer then writes 0 as the paper does; with maps of both signs it writes the least activation - 1e7."""
    images = photo(3)
    for kind in ("gap_linear", "deep_head"):
        classifier = toy_classifier(kind)
        assert (classifier.features(images).amin((1, 2, 3)) == 0).all()
        ours, theirs = (
            draw("ablation-cam", classifier, images),
            draw("ablation-cam:pytorch-grad-cam", classifier, images),
        )
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    signed = toy_classifier("signed_features")
    ours, theirs = (draw(name, signed, images) for name in ("ablation-cam", "ablation-cam:pytorch-grad-cam"))
    assert not torch.allclose(ours / ours.abs().max(), theirs / theirs.abs().max(), atol=0.05)


def slow_score_cam(net: nn.Module, A: Tensor, image: Tensor, target: int, variant: str) -> Tensor:
    """One image by the words of each paper or code; mask on raw or on normalised pixels, channel by channel."""
    align = variant in ("pytorch-grad-cam", "castream")
    eps = 1e-8 if variant in ("pytorch-grad-cam", "torch-cam") else 0.0
    u = []
    for a in A:
        if eps == 0 and a.max() == a.min():
            continue
        if variant == "torch-cam":
            a = (a - a.min()) / (a.max() - a.min() + eps)
        mask = F.interpolate(a[None, None], (SIZE, SIZE), mode="bilinear", align_corners=align)[0, 0]
        if variant != "torch-cam":
            mask = (mask - mask.min()) / (mask.max() - mask.min() + eps)
        raw = variant in ("paper", "castream")
        logits = net((normalised(image * mask) if raw else normalised(image) * mask)[None])[0]
        baseline = {
            "paper": net(normalised(torch.zeros_like(image))[None])[0, target],
            "torch-cam": net(normalised(image)[None])[0, target],
        }.get(variant, 0.0)
        probability = variant in ("official", "castream")
        u.append(logits.softmax(0)[target] if probability else logits[target] - baseline)
    scores = torch.stack(u)
    weights = scores if variant in ("official", "castream") else scores.exp() / scores.exp().sum()
    kept = [a for a in A if eps or a.max() > a.min()]
    return sum(w * a for w, a in zip(weights, kept, strict=True)).detach()  # type: ignore[attr-defined]


def with_empty_channel(kind: str) -> nn.Module:
    """Channel 0 of the cut layer is 0 everywhere (-1 where maps are signed)."""
    net = TOYS[kind]()
    conv = [module for module in net.features.modules() if isinstance(module, nn.Conv2d)][-1]
    conv.weight.data[0] = 0
    conv.bias.data[0] = -1
    return net


def with_dead_channels(kind: str) -> nn.Module:
    """Besides, channel 1 is 2 everywhere: a mask of rounding noise in codes that add 1e-8 to its extent."""
    net = with_empty_channel(kind)
    conv = [module for module in net.features.modules() if isinstance(module, nn.Conv2d)][-1]
    conv.weight.data[1] = 0
    conv.bias.data[1] = 2
    return net


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", ["gap_linear", "deep_head", "signed_features"])
def test_score_cam_variants_equal_their_slow_forms_dead_channels_included(kind: str, variant: str) -> None:
    net, images = with_dead_channels(kind).double(), photo(3).double()
    classifier = Classifier(
        net, name=kind, layer="features[-1]", input_size=SIZE, mean=MEAN, std=STD, dtype=torch.float64
    )
    A = classifier.features(images)
    assert (A[:, 1] == A[:, 1, :1, :1]).all()
    slow = torch.stack([slow_score_cam(net, A[i], images[i], int(c), variant) for i, c in enumerate(TARGETS)])
    for chunk in (64, 3):
        maps = draw("score-cam", classifier, images, variant=variant, chunk=chunk)
        torch.testing.assert_close(maps, slow, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", ["gap_linear", "deep_head", "signed_features"])
def test_score_cam_equals_the_class_of_pytorch_grad_cam(kind: str) -> None:
    """The class on the untouched net, which takes normalised images as the library's users hand them in."""
    net, images = with_empty_channel(kind), photo(3)
    classifier = Classifier(
        with_empty_channel(kind), name=kind, layer="features[-1]", input_size=SIZE, mean=MEAN, std=STD
    )
    wanted = [ClassifierOutputTarget(int(c)) for c in TARGETS]
    with ScoreCAM(net, [net.features[-1]]) as cam:
        cam.activations_and_grads(normalised(images))
        A = cam.activations_and_grads.activations[0].numpy()
        theirs = torch.from_numpy(cam.get_cam_image(normalised(images), None, wanted, A, None))
    ours = draw("score-cam", classifier, images, variant="pytorch-grad-cam")
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_score_cam_double_is_the_same_with_black_behind_the_mask() -> None:
    net = with_empty_channel("gap_linear")
    classifier = Classifier(net, name="raw", layer="features[-1]", input_size=SIZE)  # mean 0, deviation 1
    ours = draw("score-cam", classifier, photo(3), variant="pytorch-grad-cam")
    torch.testing.assert_close(ours, draw("score-cam:pytorch-grad-cam", classifier, photo(3)), rtol=1e-4, atol=1e-5)


def test_score_cam_ignores_a_constant_in_all_scores() -> None:
    images, nets = photo(3).double(), [TOYS["gap_linear"]().double() for _ in range(2)]
    nets[1].fc.bias.data += 100
    one, other = (
        draw(
            "score-cam", Classifier(net, name="net", layer="features[-1]", input_size=SIZE, dtype=torch.float64), images
        )
        for net in nets
    )
    torch.testing.assert_close(one, other)


def test_score_cam_without_a_single_live_channel_is_zero() -> None:
    net = TOYS["gap_linear"]()
    net.features[-2].weight.data.zero_()
    classifier = Classifier(net, name="dead", layer="features[-1]", input_size=SIZE)
    assert torch.equal(draw("score-cam", classifier, photo(3)), torch.zeros(3, 8, 8))


def test_score_cam_never_passes_more_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier, passed = toy_classifier(), []
    logits = classifier.logits

    def watched(images: Tensor) -> Tensor:
        passed.append(len(images))
        return logits(images)

    monkeypatch.setattr(classifier, "logits", watched)
    draw("score-cam", classifier, photo(3), chunk=3)
    assert passed == [3] * 8  # 3 images of 8 channels
