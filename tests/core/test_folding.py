"""Folded batch normalisation: the same function, for scoring."""

from __future__ import annotations

import pytest
import timm
import torch
import torchvision
from torch import nn

from bench.core.classifier import Classifier
from bench.core.net.folding import FoldedConv
from bench.scoring.scorer import Scorer
from tests.toys import TOYS, photo, toy_classifier


def randomised(net: nn.Module) -> nn.Module:
    """The net with statistics and affine parameters that make every batch normalisation do something."""
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(module.bias, 0, 0.2, generator=generator)
    return net


NETS = {
    "resnet18": lambda: torchvision.models.resnet18(),
    "vgg11_bn": lambda: torchvision.models.vgg11_bn(),
    "densenet121": lambda: torchvision.models.densenet121(),
    "tf_efficientnet_lite0": lambda: timm.create_model("tf_efficientnet_lite0"),
}


@pytest.mark.parametrize("name", NETS)
def test_scores_equal_the_untouched_net_in_float64(name):
    net = randomised(NETS[name]()).double().eval()
    images = photo(2, 64).double()
    expected = net(images)
    classifier = Classifier(net, name=name, input_size=64, dtype=torch.float64)
    torch.testing.assert_close(classifier.score(images), expected, rtol=1e-9, atol=1e-12)
    assert torch.equal(classifier.logits(images), expected)


def count(classifier: Classifier, kind: type[nn.Module]) -> int:
    return sum(isinstance(module, kind) for module in classifier._scoring_net.modules())  # type: ignore[union-attr]


def test_every_norm_behind_a_convolution_is_folded():
    classifier = Classifier(randomised(NETS["resnet18"]()), name="resnet18", input_size=64)
    assert (count(classifier, FoldedConv), count(classifier, nn.BatchNorm2d)) == (20, 0)
    lite = Classifier(NETS["tf_efficientnet_lite0"](), name="lite0", input_size=64)
    assert count(lite, FoldedConv) == 49


class Branching(nn.Module):
    """A convolution whose output is read twice: its norm must stay apart."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 5)

    def forward(self, x):
        y = self.conv(x)
        return self.fc((self.norm(y) + y).relu().mean((2, 3)))


def test_a_convolution_that_is_read_twice_stays():
    classifier = Classifier(randomised(Branching()), name="branching", layer="norm", input_size=32)
    assert count(classifier, FoldedConv) == 0
    torch.testing.assert_close(classifier.score(photo(3)), classifier.logits(photo(3)))


@pytest.mark.parametrize("kind", TOYS)
def test_the_scorer_fills_fixed_batches_and_forgets_the_padding(kind):
    classifier, images = toy_classifier(kind), photo(7)
    expected = classifier.logits(images).double().log_softmax(1)
    blocks = [images[:1], images[1:6], images[6:]]
    with classifier.tally() as tally:
        found = Scorer(classifier, 4).score(blocks)
    assert tally.forward == 8
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert Scorer(classifier, 4).score([]).shape == (0, 7)


@pytest.mark.parametrize("kind", TOYS)
def test_a_score_does_not_depend_on_its_neighbours(kind):
    """Bit for bit at the same place of a batch; up to rounding at another."""
    classifier, images = toy_classifier(kind), photo(8)
    scores = Scorer(classifier, 4).score([images])
    alone = torch.cat(
        [Scorer(classifier, 4).score([images[i : i + 1].expand(4, -1, -1, -1)])[i % 4, None] for i in range(8)]
    )
    assert torch.equal(scores, alone)
    backward = Scorer(classifier, 4).score([images.flip(0)]).flip(0)
    torch.testing.assert_close(scores, backward, rtol=1e-6, atol=1e-6)
