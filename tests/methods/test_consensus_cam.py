"""Consensus CAM and the variations of a view, against Opti-CAM, finite differences and hand-made pictures."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.classifiers.load import load_classifier
from bench.core.classifier import Classifier
from bench.core.errors import Skip, UsageError
from bench.core.explainer import EXPLAINERS
from methods._variation import CYCLE, Variation
from methods.consensus_cam import consensus, consensus_cam, helpers, passes
from methods.opti_cam import opti_cam
from tests.toys import SIZE, photo, toy_classifier

TARGETS = torch.tensor([0, 4, 6])
PLAIN = Variation()


def networks() -> tuple[Classifier, Classifier]:
    return toy_classifier("deep_head", dtype=torch.float64), toy_classifier("gap_linear", dtype=torch.float64)


@pytest.mark.parametrize("objective", ["plain", "norm", "margin", "cross-entropy"])
def test_a_companion_equal_to_the_network_itself_is_opti_cam(objective: Any) -> None:
    classifier, images = toy_classifier("deep_head", dtype=torch.float64), photo(3).double()
    both = consensus((classifier, classifier), images, TARGETS, "channels", 20, 4.0, objective, True, PLAIN)
    alone = opti_cam(classifier, images, TARGETS, steps=20, lr=4.0, objective=objective)
    torch.testing.assert_close(both, alone, rtol=1e-9, atol=1e-12)


def mean_loss(nets: tuple[Classifier, ...], S: Tensor, image: Tensor, target: int) -> float:
    """The mean over the networks of -log p of the image times the min-maxed map, written out."""
    up = F.interpolate(S[None, None], (SIZE, SIZE), mode="bilinear", align_corners=False)[0, 0]
    masked = image * (up - up.min()) / (up.max() - up.min())
    return sum(-net.logits(masked[None])[0].softmax(0)[target].log().item() for net in nets) / len(nets)


def test_the_first_step_of_a_free_map_goes_down_the_finite_differences_of_the_mean_loss() -> None:
    """Adam's first step is lr · sign(g), from the Grad-CAM scaled to the maximum 1."""
    nets, images = networks(), photo(1).double()
    gradcam = EXPLAINERS["grad-cam"].value.function(nets[0], images, TARGETS[:1])[0].relu()
    start = gradcam / gradcam.max()
    start -= start.min()
    torch.testing.assert_close(
        consensus(nets, images, TARGETS[:1], "map", 0, 0.1, "cross-entropy", True, PLAIN)[0], start
    )
    moved = consensus(nets, images, TARGETS[:1], "map", 1, 0.1, "cross-entropy", True, PLAIN)[0]
    steps = []
    for cell in [(1, 2), (3, 3), (6, 4)]:
        nudge = torch.zeros_like(start)
        nudge[cell] = 1e-6
        slope = mean_loss(nets, start + nudge, images[0], 0) - mean_loss(nets, start - nudge, images[0], 0)
        assert abs(slope) > 1e-9
        steps.append((moved[cell] - start[cell] + 0.1 * (1 if slope > 0 else -1)).item())
    assert steps == pytest.approx([steps[0]] * 3, abs=1e-4)  # what the least cell rose by


@pytest.mark.parametrize("variables", ["channels", "map"])
def test_images_of_a_batch_stop_by_themselves(variables: Any) -> None:
    nets, images = networks(), photo(3).double()
    together = consensus(nets, images, TARGETS, variables, 30, 4.0, "plain", True, PLAIN)
    for i in range(3):
        one = slice(i, i + 1)
        alone = consensus(nets, images[one], TARGETS[one], variables, 30, 4.0, "plain", True, PLAIN)
        torch.testing.assert_close(together[one], alone)


def test_two_networks_are_both_convinced() -> None:
    nets, images = networks(), photo(3).double()
    first, last = (consensus(nets, images, TARGETS, "map", n, 0.1, "cross-entropy", False, PLAIN) for n in (0, 60))
    for net in nets:
        losses = [[mean_loss((net,), S, x, int(c)) for S, x, c in zip(maps, images, TARGETS, strict=True)]
                  for maps in (first, last)]  # fmt: skip
        assert sum(losses[1]) < sum(losses[0])


def test_a_companion_of_another_size_sees_the_resized_image(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier, larger, images = toy_classifier("gap_linear"), toy_classifier("gap_linear", input_size=48), photo(2)
    seen, answer = [], larger.logits

    def spied(shown: Tensor) -> Tensor:
        seen.append(tuple(shown.shape))
        return answer(shown)

    monkeypatch.setattr(larger, "logits", spied)
    consensus((classifier, larger), images, TARGETS[:2], "channels", 2, 1.0, "plain", False, PLAIN)
    assert seen == [(2, 3, 48, 48)] * 3


def test_without_companions_it_is_skipped_and_the_explained_network_is_none() -> None:
    classifier, images = load_classifier("efficientnet_lite0"), photo(1, 224)
    with pytest.raises(Skip, match="needs further networks"):
        consensus_cam(classifier, images, TARGETS[:1])
    with pytest.raises(UsageError, match="is there already"):
        consensus_cam(classifier, images, TARGETS[:1], companions="efficientnet_lite0")


def test_companions_are_in_the_cost_and_their_digests_among_the_helpers() -> None:
    classifier, images = load_classifier("efficientnet_lite0"), photo(1, 224)
    companion = load_classifier("efficientnet_lite1")
    assert helpers(classifier, companions="efficientnet_lite1") == (companion.digest,)
    declared = passes(classifier, companions="efficientnet_lite1", steps=2)
    assert (declared.forward, declared.backward) == (6, 4)
    maps = consensus_cam(classifier, images, TARGETS[:1], companions="efficientnet_lite1", steps=2)
    assert maps.shape == (1, 7, 7)
    assert maps.isfinite().all()


def test_a_still_view_is_the_masked_image() -> None:
    images, masks = photo(2), torch.rand(2, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    assert PLAIN.still
    assert torch.equal(PLAIN(images, masks, torch.zeros(3), 5), images * masks[:, None])
    assert not any(Variation(*given).still for given in [(1,), (0, True), (0, False, True)])


def test_shifts_move_by_at_most_so_many_pixels_alike_for_every_image() -> None:
    """A bright pixel shows where an image went."""
    images, masks = torch.zeros(2, 3, SIZE, SIZE), torch.ones(2, SIZE, SIZE)
    images[:, :, 16, 16] = 1
    places = set()
    for step in range(200):
        seen = Variation(shifts=4)(images, masks, torch.zeros(3), step)
        first, second = (tuple(x[0].nonzero()[0].tolist()) for x in seen)
        assert first == second
        places.add(first)
    assert {max(abs(y - 16), abs(x - 16)) for y, x in places} == {0, 1, 2, 3, 4}


def test_flips_and_backgrounds_take_turns() -> None:
    images, hidden = photo(1), torch.zeros(1, SIZE, SIZE)
    mirrored = [
        torch.equal(Variation(flips=True)(images, 1 - hidden, torch.zeros(3), step), images.flip(3))
        for step in range(40)
    ]
    assert 10 < sum(mirrored) < 30
    behind = {Variation(backgrounds=True)(images, hidden, torch.tensor([0.2, 0.4, 0.6]), step).mean().item()
              for step in range(40)}  # fmt: skip
    assert len(behind) == len(CYCLE)
    assert 0.0 in behind
    assert any(abs(value - 0.4) < 1e-6 for value in behind)


def test_opti_cam_with_variations_does_not_depend_on_the_batch() -> None:
    classifier, images = toy_classifier("deep_head", dtype=torch.float64), photo(3).double()
    switches: Any = {"steps": 6, "lr": 1.0, "shifts": 3, "flips": True, "backgrounds": True}
    together = opti_cam(classifier, images, TARGETS, **switches)
    alone = [opti_cam(classifier, images[i : i + 1], TARGETS[i : i + 1], **switches) for i in range(3)]
    torch.testing.assert_close(torch.cat(alone), together)
    assert not torch.allclose(together, opti_cam(classifier, images, TARGETS, steps=6, lr=1.0))
