"""Captum's pixel attributions against integrals, loops and nets whose gradients are known on paper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import methods  # noqa: F401
from bench.core.classifier import Classifier
from bench.core.explainer import EXPLAINERS
from bench.core.seeds import forked_rng
from tests.toys import SIZE, photo, toy_classifier

KINDS = ("gap_linear", "deep_head", "signed_features", "tokens", "residual_bypass")
TARGETS = torch.tensor([0, 4, 6])
SEEDS = torch.tensor([5, 6, 7])


def draw(name: str, classifier: Classifier, images: Tensor, targets: Tensor = TARGETS, **params: Any) -> Tensor:
    return EXPLAINERS[name].value.function(classifier, images, targets, **params)


class Pointwise(nn.Module):
    """f_c = mean over positions of c · Σ over colours of φ(x), behind a 1 × 1 convolution that changes nothing."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, bias=False)
        self.conv.weight.data = torch.eye(3)[:, :, None, None]
        self.fc = nn.Linear(3, 7)
        self.fc.weight.data = torch.arange(7.0)[:, None].expand(7, 3).clone()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.function(self.conv(x)).mean((2, 3)))


def pointwise(function: Callable[[Tensor], Tensor], size: int = 8) -> Classifier:
    return Classifier(Pointwise(function).eval(), name="pointwise", layer="conv", input_size=size)


def gradients_of(classifier: Classifier, images: Tensor, targets: Tensor = TARGETS) -> Tensor:
    images = images.detach().clone().requires_grad_()
    logits = classifier.logits(images)
    (gradients,) = torch.autograd.grad(sum(logits[i, c] for i, c in enumerate(targets)), images)
    return gradients


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_and_input_x_gradient(kind: str) -> None:
    classifier, images = toy_classifier(kind, dtype=torch.float64), photo(3).double()
    g = gradients_of(classifier, images)
    torch.testing.assert_close(draw("gradient", classifier, images), g.abs().max(1).values)
    torch.testing.assert_close(draw("input-x-gradient", classifier, images), (images * g).sum(1) / 3)


@pytest.mark.parametrize("kind", KINDS)
def test_integrated_gradients_are_complete(kind: str) -> None:
    """Within 1 % at 200 steps. On the two toys whose max pooling makes the gradient jump along the path, and where
    positive and negative parts almost cancel, within 1 % of the sum of magnitudes."""
    classifier, images = toy_classifier(kind), photo(3)
    maps = draw("integrated-gradients", classifier, images, steps=200)
    rise = (classifier.logits(images) - classifier.logits(torch.zeros_like(images)))[range(3), TARGETS]
    size = 3 * maps.abs().sum((1, 2)) if kind in ("gap_linear", "deep_head") else rise.abs()
    assert rise.abs().max() > 0.1
    assert ((3 * maps.sum((1, 2)) - rise).abs() < 0.01 * size).all()


@pytest.mark.parametrize("kind", ["gap_linear", "tokens"])
def test_integrated_gradients_equal_a_riemann_sum_from_black(kind: str) -> None:
    classifier, images = toy_classifier(kind, dtype=torch.float64), photo(3).double()
    steps = 200
    slow = sum(images * gradients_of(classifier, images * ((t + 0.5) / steps)) for t in range(steps)) / steps
    maps = draw("integrated-gradients", classifier, images, steps=200)
    assert isinstance(slow, Tensor)
    torch.testing.assert_close(maps, slow.mean(1), rtol=0, atol=5e-3 * float(slow.abs().max()))


def test_integrated_gradients_of_a_square() -> None:
    """φ = x²: IG = c · x² / hw, exact with any number of Gauss-Legendre points."""
    images = photo(3, size=8)
    maps = draw("integrated-gradients", pointwise(torch.square), images, steps=3)
    expected = TARGETS.view(3, 1, 1) * images.square().mean(1) / 64
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-6)


def test_smoothgrad_of_a_linear_net_is_its_gradient() -> None:
    maps = draw("smoothgrad", pointwise(lambda x: 2 * x), photo(3, size=8), seeds=SEEDS)
    torch.testing.assert_close(maps, (2 * TARGETS / 64).view(3, 1, 1).expand(3, 8, 8).float(), rtol=1e-4, atol=1e-6)


def test_smoothgrad_noise_has_the_papers_deviation() -> None:
    """φ = x²/2 on a grey image that also holds one 0.2 and one 0.6: the map is c/hw · max over colours of |x + mean of
    the noise|, and the noise's mean over n samples deviates by sigma · 0.4 / √n."""
    images = torch.full((1, 3, 40, 40), 0.4)
    images[:, :, 0, 0], images[:, :, 0, 1] = 0.2, 0.6
    images[:, 1:] = 0.3  # then the first colour is the strongest by far
    images[:, 0, 0, 2] = 0.7
    target, samples, sigma = torch.tensor([1]), 16, 0.2
    deviation = sigma * (0.7 - 0.2) / samples**0.5
    net = pointwise(lambda x: x.square() / 2, size=40)
    maps = draw("smoothgrad", net, images, target, samples=samples, sigma=sigma, seeds=SEEDS[:1]) * 1600
    noise = (maps[0] - images[0, 0])[1:]
    assert abs(noise.mean()) < 4 * deviation / noise.numel() ** 0.5
    assert abs(noise.std() / deviation - 1) < 0.1


def test_smoothgrad_depends_on_each_images_own_seed() -> None:
    classifier, images = toy_classifier("tokens"), photo(3)
    maps = draw("smoothgrad", classifier, images, samples=4, seeds=SEEDS)
    with forked_rng(0):
        again = draw("smoothgrad", classifier, images, samples=4, seeds=SEEDS)
    assert torch.equal(maps, again)
    other = draw("smoothgrad", classifier, images, samples=4, seeds=torch.tensor([5, 99, 7]))
    same = [torch.equal(a, b) for a, b in zip(maps, other, strict=True)]
    assert same == [True, False, True]


class OneRectifierTwice(nn.Module):
    """conv 1 × 1, one rectifier that is used twice around a second conv 1 × 1, pooling, linear."""

    def __init__(self, rectifier: Callable[[Tensor], Tensor]):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.first, self.second, self.fc = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 1), nn.Linear(5, 7)
        for parameter in self.parameters():
            parameter.data = 3 * torch.randn(parameter.shape, generator=generator)
        self.rectifier = rectifier

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rectifier(self.second(self.rectifier(self.first(x)))).mean((2, 3)))


@pytest.mark.parametrize(
    ("rectifier", "ceiling"),
    [(nn.ReLU(), float("inf")), (nn.ReLU(inplace=True), float("inf")), (F.relu, float("inf")),
     (nn.ReLU6(), 6.0), (F.relu6, 6.0)],
)  # fmt: skip
def test_guided_backprop_by_hand(rectifier: Callable[[Tensor], Tensor], ceiling: float) -> None:
    """Backwards through each rectifier: gradient · [0 < input < ceiling] · [gradient > 0], pixel by pixel."""
    net, images = OneRectifierTwice(rectifier).eval(), photo(3, size=8)
    W1, b1, W2, b2 = (p.detach().squeeze() for p in (*net.first.parameters(), *net.second.parameters()))
    expected, blocked = torch.zeros(3, 8, 8), 0
    for i, c in enumerate(TARGETS):
        for y in range(8):
            for x in range(8):
                z1 = W1 @ images[i, :, y, x] + b1
                z2 = W2 @ z1.clamp(0, ceiling) + b2
                g2 = net.fc.weight[c].detach() / 64 * ((z2 > 0) & (z2 < ceiling))
                g1 = W2.T @ g2.clamp_min(0) * ((z1 > 0) & (z1 < ceiling))
                blocked += int((g1 < 0).sum() + (g2 < 0).sum())
                expected[i, y, x] = (W1.T @ g1.clamp_min(0)).abs().max()
    assert blocked > 100
    assert expected.max() > 0.1
    classifier = Classifier(net, name="twice", layer="second", input_size=8)
    assert EXPLAINERS["guided-backprop"].value.skip(classifier) is None
    torch.testing.assert_close(draw("guided-backprop", classifier, images), expected, rtol=1e-4, atol=1e-5)


def test_guided_backprop_is_skipped_with_a_reason_where_there_are_other_activations() -> None:
    skip = EXPLAINERS["guided-backprop"].value.skip
    assert "ReLU" in (skip(toy_classifier("tokens")) or "")
    assert "ReLU" in (skip(toy_classifier("residual_bypass")) or "")


@pytest.mark.parametrize(
    ("window", "stride", "pixels", "step"), [(0.25, 0.25, 8, 8), (0.3, 0.2, 10, 6), (1, 1, 32, 32)]
)
def test_occlusion_equals_a_loop_over_black_squares(window: float, stride: float, pixels: int, step: int) -> None:
    """Where the squares do not fit, the last of each row and column reaches beyond the image."""
    classifier, images = toy_classifier("deep_head", dtype=torch.float64), photo(3).double()
    total, covered, squares = torch.zeros(3, SIZE, SIZE).double(), torch.zeros(SIZE, SIZE), 0
    clean = classifier.logits(images)[range(3), TARGETS]
    top = 0
    while True:
        left = 0
        while True:
            occluded = images.clone()
            occluded[:, :, top : top + pixels, left : left + pixels] = 0
            drop = clean - classifier.logits(occluded)[range(3), TARGETS]
            total[:, top : top + pixels, left : left + pixels] += drop[:, None, None]
            covered[top : top + pixels, left : left + pixels] += 1
            squares += 1
            if left + pixels >= SIZE:
                break
            left += step
        if top + pixels >= SIZE:
            break
        top += step
    maps = draw("occlusion", classifier, images, window=window, stride=stride)
    torch.testing.assert_close(maps.double(), total / covered, rtol=1e-5, atol=1e-5)
    assert EXPLAINERS["occlusion"].value.cost(classifier, window=window, stride=stride).forward == 1 + squares


def test_internal_batches_are_bounded_and_do_not_change_the_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    from methods import gradients, occlusion

    classifier, images = toy_classifier("tokens", dtype=torch.float64), photo(3).double()
    specs: list[tuple[str, dict[str, Any]]] = [("integrated-gradients", {"steps": 11}), ("occlusion", {"window": 0.3})]
    whole = [draw(name, classifier, images, **params) for name, params in specs]
    widest = []
    classifier.module.register_forward_pre_hook(lambda module, inputs: widest.append(len(inputs[0])))
    for module in (gradients, occlusion):
        monkeypatch.setattr(module, "CHUNK", 4)
    for (name, params), expected in zip(specs, whole, strict=True):
        torch.testing.assert_close(draw(name, classifier, images, **params), expected)
    assert max(widest) == 4
