"""Maps of several layers fused, against the formula of LayerCAM written out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from bench.core.errors import Skip, UsageError
from bench.core.explainer import EXPLAINERS
from methods.fused_cam import fused_cam, passes
from tests.toys import photo, toy_classifier

TARGETS = torch.tensor([0, 4, 6])
LAYERS = "features[1],features[-1]"


@pytest.mark.parametrize("cam", ["layer-cam", "score-cam"])
@pytest.mark.parametrize("fusion", ["max", "mean"])
def test_it_is_the_fusion_of_the_layers_own_maps(cam: str, fusion: str) -> None:
    classifier, images = toy_classifier("gap_linear"), photo(3)
    drawn = fused_cam(classifier, images, TARGETS, cam=cam, layers=LAYERS, fusion=fusion)  # type: ignore[arg-type]
    for i in range(3):
        scaled = []
        for layer in ("features[1]", "features[-1]"):
            function = EXPLAINERS[cam].value.function
            S = function(classifier.cut_at(layer), images[i : i + 1], TARGETS[i : i + 1])[0].clamp(min=0)
            up = F.interpolate(torch.tanh(2 * S / S.max())[None, None], 32, mode="bilinear", align_corners=False)
            scaled.append(up[0, 0])
        expected = torch.maximum(*scaled) if fusion == "max" else sum(scaled) / 2
        torch.testing.assert_close(drawn[i], expected, rtol=1e-4, atol=1e-5)


def test_one_layer_keeps_the_order_of_its_map_and_the_cost_is_the_sum() -> None:
    classifier, images = toy_classifier("gap_linear"), photo(3)
    drawn = fused_cam(classifier, images, TARGETS, layers="features[-1]")
    own = EXPLAINERS["layer-cam"].value.function(classifier, images, TARGETS).relu()
    assert torch.equal(drawn.flatten(1).argsort(dim=1, stable=True), own.flatten(1).argsort(dim=1, stable=True))
    assert passes(classifier, layers=LAYERS) == (2, 2)


def test_missing_layers_are_skipped_and_wrong_ones_told() -> None:
    classifier, images = toy_classifier("gap_linear"), photo(3)
    with pytest.raises(Skip, match="needs layers"):
        fused_cam(classifier, images, TARGETS)
    with pytest.raises(UsageError, match="no layer"):
        fused_cam(classifier, images, TARGETS, layers="features[77]")
    with pytest.raises(UsageError, match="has no map of a layer"):
        fused_cam(classifier, images, TARGETS, cam="gradient", layers=LAYERS)
