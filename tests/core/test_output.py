"""What a network's numbers mean: the same probabilities however they are given, and refusals that name the fact."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from bench.core.explainer import EXPLAINERS
from bench.core.output import read_output
from bench.scoring.scorer import Scorer
from tests.toys import SIZE, gap_linear


class Ending(nn.Module):
    """A net with something behind it."""

    def __init__(self, net: nn.Module, end) -> None:
        super().__init__()
        self.net, self.end = net, end

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.net(x))


def classifier(end=lambda y: y, output: str | None = None, **facts) -> Classifier:
    net = Ending(gap_linear(), end)
    return Classifier(net, name="net", layer="net.features[-1]", input_size=SIZE, output=output, **facts)


def images(n: int = 4) -> Tensor:
    return torch.rand(n, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def log_p(net: Classifier) -> Tensor:
    return Scorer(net, 4).score([images()])


def raw() -> Tensor:
    with torch.no_grad():
        return gap_linear()(images()).double()


@pytest.mark.parametrize(
    ("end", "output", "expected"),
    [
        (lambda y: y, None, lambda y: y.softmax(1)),
        (lambda y: y, "logits", lambda y: y.softmax(1)),
        (lambda y: y.softmax(1), "probabilities", lambda y: y.softmax(1)),
        (lambda y: y.log_softmax(1), None, lambda y: y.softmax(1)),
        (lambda y: y, "multi-label", lambda y: y.sigmoid()),
        (lambda y: y.sigmoid(), "probabilities", lambda y: y.sigmoid()),
        (lambda y: y[:, :1], "binary", lambda y: torch.cat([-y[:, :1], y[:, :1]], 1).sigmoid()),
        (lambda y: y[:, :1].sigmoid(), "probabilities", lambda y: torch.cat([-y[:, :1], y[:, :1]], 1).sigmoid()),
    ],
)
def test_probabilities_are_those_of_the_definition(end, output, expected):
    found = log_p(classifier(end, output))
    torch.testing.assert_close(found.exp(), expected(raw()), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found, expected(raw()).log(), rtol=1e-3, atol=1e-3)


def test_every_way_to_the_logits_is_converted_alike():
    """Whole, split, tapped, as a module and guided: one net of one logit."""
    net, x = classifier(lambda y: y[:, :1], "binary"), images()
    y = raw()[:, 0].float()
    expected = torch.stack([-y / 2, y / 2], 1)
    with torch.no_grad():
        A, rest = net.trunk(x)
        ways = [net.logits(x), net.head(A, rest), net.module(x), net.score(x)]
        ways += [net.taps([net.layer])(x)[1], net.guided_module()(x)]
    for way in ways:
        torch.testing.assert_close(way, expected, rtol=1e-4, atol=1e-5)
    assert net.num_classes == 2


def test_the_head_of_one_logit_is_linear_in_both_classes():
    one = gap_linear()
    one.fc = nn.Linear(one.fc.in_features, 1)
    net = Classifier(one.eval(), name="one", layer="features[-1]", input_size=SIZE, output="binary")
    weight, bias = net.linear
    assert weight.shape == (2, one.fc.in_features)
    with torch.no_grad():
        torch.testing.assert_close(net.features(images()).mean((2, 3)) @ weight.T + bias, net.logits(images()))


def test_both_classes_of_one_logit_have_maps_of_opposite_sign():
    net = classifier(lambda y: y[:, :1], "binary")
    maps = [EXPLAINERS["grad-cam"].value.function(net, images(), torch.full((4,), c)) for c in (0, 1)]
    torch.testing.assert_close(maps[0], -maps[1])
    assert maps[1].abs().max() > 0


def test_gradients_stay_finite_where_probabilities_are_0_and_1():
    net = classifier(lambda y: (100 * y).softmax(1), "probabilities")
    x = images().requires_grad_()
    (gradient,) = torch.autograd.grad(net.logits(x).sum(), x)
    assert gradient.isfinite().all()
    assert log_p(net).isfinite().all()


@pytest.mark.parametrize(
    ("end", "output", "message"),
    [
        (lambda y: y[:, :1], None, "--output binary"),
        (lambda y: y.softmax(1), None, "sum to 1 .*--output probabilities"),
        (lambda y: y[:, :1], "logits", "state binary"),
        (lambda y: y, "binary", "gives 7 numbers"),
        (lambda y: y, "probabilities", r"outside \[0, 1\]"),
        (lambda y: y, "multilabel", "did you mean 'multi-label'"),
    ],
)
def test_a_contradiction_is_refused_in_one_line(end, output, message):
    with pytest.raises(UsageError, match=message) as raised:
        classifier(end, output)
    assert "\n" not in str(raised.value)


def test_probabilities_that_are_called_logits_on_purpose_are_taken():
    assert classifier(lambda y: y.softmax(1), "logits").output.name == "logits"


def test_ordinary_logits_are_never_taken_for_probabilities():
    generator = torch.Generator().manual_seed(0)
    for columns in range(2, 30):
        read_output(None, torch.rand(3, columns, generator=generator) * 3 - 1, "net")


def test_the_meaning_is_part_of_the_key():
    assert classifier().key == ()
    assert classifier(output="multi-label").key == ("output multi-label",)
