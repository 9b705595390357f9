"""One trunk pass for all explainers of a layer, and nothing of it seen in a map."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import methods  # noqa: F401 - registers
from bench.core.classifier import Classifier
from bench.core.explainer import EXPLAINERS
from bench.core.protocols import protocol
from bench.run.timing import time_source
from bench.scoring.evaluate import ScoringContext
from bench.scoring.sources import ExplainerSource, Item
from tests.toys import SIZE, photo, toy_classifier

TARGETS = torch.tensor([0, 4, 6])
NATIVE = ("cam", "ablation-cam", "score-cam", "opti-cam(steps=2)", "eigen-cam(centred=false)")
LIBRARY = ("grad-cam", "grad-cam++", "layer-cam")


def items() -> list[Item]:
    return [Item(str(i), str(i), image, 0, None) for i, image in enumerate(photo(3))]


def source(spec: str) -> ExplainerSource:
    return ExplainerSource(EXPLAINERS.spec(spec))


def draw(classifier: Classifier, specs: tuple[str, ...]) -> list[Tensor]:
    """As a run does: every explainer stacks the chunk's images for itself."""
    return [source(spec).maps(classifier, items(), TARGETS, 0) for spec in specs]


@pytest.mark.parametrize("specs", [NATIVE, NATIVE + LIBRARY])
def test_all_cams_of_a_layer_cost_one_trunk_pass_and_draw_the_same_bits(specs):
    classifier = toy_classifier("gap_linear")
    with classifier.tally() as apart:
        expected = draw(classifier, specs)
    with classifier.sharing(), classifier.tally() as shared:
        maps = draw(classifier, specs)
    assert apart.forward - shared.forward == 3 * (len(specs) - 1)
    assert (apart.head, apart.backward) == (shared.head, shared.backward)
    assert all(map(torch.equal, maps, expected))


def test_other_images_another_layout_and_images_with_gradient_take_a_pass_of_their_own():
    classifier, images = toy_classifier("gap_linear"), photo(3)
    with classifier.sharing():
        for asked, passes in (
            (images, 3), (images.clone(), 0), (images[:2], 2), (images, 3), (images + 1e-6, 3),
            (images, 3), (images.contiguous(memory_format=torch.channels_last), 3),
            (images, 3), (images.clone().requires_grad_(), 3), (images, 0),
        ):  # fmt: skip
            with classifier.tally() as tally:
                A = classifier.features(asked)
            assert tally.forward == passes
            assert torch.equal(A, classifier._split.trunk(classifier._normalise(asked))[0])


def test_what_one_does_to_its_maps_the_next_does_not_see():
    classifier, images = toy_classifier("tokens"), photo(3)
    A, rest = classifier.trunk(images)
    with classifier.sharing():
        for _ in range(2):
            again, beside = classifier.trunk(images)
            assert torch.equal(again, A)
            assert all(map(torch.equal, beside, rest))
            for tensor in (again, *beside):
                tensor.zero_()


class Headless(nn.Module):
    """Its last layer with parameters is below the cut."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 7, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).mean((2, 3))


def test_a_randomised_net_draws_maps_of_its_own():
    classifier, images = Classifier(Headless(), name="headless", layer="conv", input_size=SIZE), photo(3)
    with classifier.sharing():
        before = classifier.features(images)
        with classifier.randomised(1):
            assert not torch.allclose(classifier.features(images), before)
        with classifier.tally() as tally:
            assert torch.equal(classifier.features(images), before)
        assert tally.forward == 0


def test_nothing_is_shared_outside_the_block_nor_in_the_timing_pass():
    classifier, broken = toy_classifier("gap_linear"), torch.zeros(3, 3, SIZE)
    with pytest.raises(RuntimeError), classifier.sharing():
        classifier.features(broken)
    context = ScoringContext(classifier, protocol("clean"), 0, 3)
    rows = time_source(context, source("cam"), items(), TARGETS, seconds=0.01)
    assert {row["forward"] for row in rows} == {1}
