"""The further attributions of Captum on networks whose answer is known, and where they do not apply."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from bench.core.classifier import Classifier
from bench.core.errors import Skip
from bench.core.explainer import EXPLAINERS
from methods._superpixels import superpixels, tiles
from tests.toys import photo, toy_classifier

SEEDS = torch.tensor([3, 4])
TARGETS = torch.tensor([0, 4])


def draw(name: str, classifier: Classifier, images: Tensor, targets: Tensor = TARGETS, **parameters: object) -> Tensor:
    explainer = EXPLAINERS[name].value
    extra = {"seeds": SEEDS[: len(images)]} if explainer.seeded else {}
    found: Tensor = explainer.function(classifier, images, targets[: len(images)], **parameters, **extra)
    return found


class Corners(nn.Module):
    """Class 1's logit is 2 × the first corner + 1 × the second + 3 × both of them: no other tile plays a part."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 1, 1)
        self.fc = nn.Linear(3, 2)
        with torch.no_grad():
            self.features.weight.fill_(1 / 3)
            self.features.bias.zero_()  # type: ignore[union-attr]
            self.fc.weight.copy_(torch.tensor([[0.0, 0, 0], [2.0, 1.0, 3.0]]))
            self.fc.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        A = self.features(x)
        one, other = A[:, 0, :8, :8].mean((1, 2)), A[:, 0, -8:, -8:].mean((1, 2))
        found: Tensor = self.fc(torch.stack([one, other, one * other], 1))
        return found


def corners() -> tuple[Classifier, Tensor]:
    return Classifier(Corners(), name="corners", layer="features", input_size=32), torch.ones(1, 3, 32, 32)


def test_feature_ablation_is_what_the_logit_loses_without_the_tile() -> None:
    classifier, image = corners()
    S = draw("feature-ablation", classifier, image, torch.tensor([1]), grid=4)[0]
    expected = torch.zeros(32, 32)
    expected[:8, :8], expected[-8:, -8:] = 2 + 3, 1 + 3
    torch.testing.assert_close(S, expected)


def test_kernel_shap_tends_to_the_shapley_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four quarters; the values of p_1 by all orders."""
    classifier, image = corners()
    quarters = tiles(32, 2)
    monkeypatch.setattr("methods.library_attributions.superpixels", lambda image, segments: quarters)

    def p(shown: set[int]) -> float:
        mask = torch.isin(quarters, torch.tensor(sorted(shown), dtype=torch.long))
        return classifier.logits(image * mask).softmax(1)[0, 1].item()

    values = [0.0] * 4
    for order in itertools.permutations(range(4)):
        for k, part in enumerate(order):
            values[part] += (p({*order[: k + 1]}) - p({*order[:k]})) / 24
    S = draw("kernel-shap", classifier, image, torch.tensor([1]), samples=4000)[0]
    for part in range(4):
        assert S[quarters == part].unique().numel() == 1
        assert S[quarters == part][0].item() == pytest.approx(values[part], abs=0.02)


def test_lime_ranks_the_parts_that_matter_first(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier, image = corners()
    monkeypatch.setattr("methods.library_attributions.superpixels", lambda image, segments: tiles(32, 4))
    S = draw("lime", classifier, image, torch.tensor([1]), samples=600)[0]
    found = S[::8, ::8].flatten()
    assert found.argsort(descending=True)[:2].tolist() == [0, 15]
    assert found[1:15].abs().max() < 0.5 * found[15]


def test_gradient_shap_without_noise_tends_to_integrated_gradients() -> None:
    classifier, images = toy_classifier("deep_head"), photo(2)
    shap = draw("gradient-shap", classifier, images, samples=3000, sigma=0.0)
    exact = draw("integrated-gradients", classifier, images, steps=200)
    assert (shap - exact).abs().mean() < 0.05 * exact.abs().mean()


class Plain(nn.Module):
    """Convolution, ReLU, convolution, ReLU, global average pooling, linear: nothing else."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, bias=bias), nn.ReLU(), nn.Conv2d(6, 5, 3, bias=bias), nn.ReLU()
        )  # fmt: skip
        self.fc = nn.Linear(5, 5, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.fc(self.features(x).mean((2, 3)))
        return found


def plain(bias: bool) -> tuple[Classifier, Tensor]:
    torch.manual_seed(1)
    return Classifier(Plain(bias), name="plain", layer="features[-1]", input_size=16), photo(2, 16)


def test_deeplift_sums_to_the_difference_from_black() -> None:
    classifier, images = plain(bias=True)
    drawn = draw("deeplift", classifier, images)
    change = (classifier.logits(images) - classifier.logits(torch.zeros_like(images)))[range(2), TARGETS]
    torch.testing.assert_close(3 * drawn.sum((1, 2)), change.detach(), rtol=1e-3, atol=1e-5)


def test_lrp_keeps_the_logit_where_nothing_has_a_bias() -> None:
    """Conservation: the relevance of the pixels sums to the logit."""
    classifier, images = plain(bias=False)
    logits = classifier.logits(images)[range(2), TARGETS].detach()
    torch.testing.assert_close(draw("lrp", classifier, images).sum((1, 2)), logits, rtol=1e-2, atol=1e-4)


def test_a_deconvolution_lets_back_what_is_positive() -> None:
    """One unit that is off: the gradient stops there and the deconvolution does not."""

    class Off(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(3, 1, 1), nn.ReLU())
            self.fc = nn.Linear(1, 2)
            with torch.no_grad():
                self.features[0].weight.fill_(1.0)
                self.features[0].bias.fill_(-10.0)
                self.fc.weight.copy_(torch.tensor([[1.0], [-1.0]]))

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.fc(self.features(x).mean((2, 3)))
            return found

    classifier, image = Classifier(Off(), name="off", layer="features[-1]", input_size=8), photo(1, 8)
    assert draw("gradient", classifier, image, torch.tensor([0])).abs().max() == 0
    torch.testing.assert_close(
        draw("deconvolution", classifier, image, torch.tensor([0]))[0], torch.full((8, 8), 1 / 64)
    )
    assert draw("deconvolution", classifier, image, torch.tensor([1])).abs().max() == 0


def test_guided_grad_cam_and_squared_smoothgrad_are_their_parts() -> None:
    classifier, images = toy_classifier("deep_head"), photo(2)
    cam = draw("grad-cam", classifier, images).relu()
    up = torch.nn.functional.interpolate(cam[:, None], 32, mode="bilinear")[:, 0]
    torch.testing.assert_close(
        draw("guided-grad-cam", classifier, images), draw("guided-backprop", classifier, images) * up
    )
    quiet = draw("smoothgrad-squared", classifier, images, samples=2, sigma=0.0)
    torch.testing.assert_close(quiet, draw("gradient", classifier, images).square())


@pytest.mark.parametrize("name", ["deeplift", "deconvolution", "lrp", "guided-grad-cam"])
def test_methods_of_relus_say_so(name: str) -> None:
    reason = EXPLAINERS[name].value.skip(toy_classifier("tokens"))
    assert reason is not None
    assert "ReLU" in reason


def test_lrp_is_skipped_where_captum_has_no_rule() -> None:
    with pytest.raises(Skip, match="has no rule"):
        draw("lrp", toy_classifier("residual_bypass"), photo(2))


def test_tiles_and_superpixels_part_the_image() -> None:
    found = tiles(32, 7)
    assert sorted(found.unique().tolist()) == list(range(49))
    sizes = [math.sqrt(int((found == part).sum())) for part in range(49)]
    assert max(sizes) - min(sizes) < 1.01
    parts = superpixels(photo(1, 64)[0], 30)
    assert parts.shape == (64, 64)
    assert parts.unique().tolist() == list(range(int(parts.max()) + 1))
    assert 10 < parts.max() < 60
