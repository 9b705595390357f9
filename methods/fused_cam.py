"""One map from the maps of several layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.errors import Skip, UsageError
from bench.core.explainer import EXPLAINERS, Passes, explainer
from bench.core.spec import split_list
from methods._common import check_targets

Fusion = Literal["max", "mean"]
SHARPNESS = 2.0

FUSIONS: dict[Fusion, Callable[[Tensor], Tensor]] = {
    "max": lambda maps: maps.amax(0),
    "mean": lambda maps: maps.mean(0),
}


def passes(classifier: Classifier, *, cam: str = "layer-cam", layers: str = "", **_: object) -> Passes:
    each = [EXPLAINERS[cam].value.cost(classifier.cut_at(layer)) for layer in split_list(layers)]
    return Passes(sum(one.forward for one in each), sum(one.backward for one in each))


@explainer("fused-cam", paper="Jiang et al. 2021 (LayerCAM), doi 10.1109/TIP.2021.3089943",
           passes=passes,           order="up-then-min-max", padded=False, uses_layer=False)  # fmt: skip
def fused_cam(
    classifier: Classifier, images: Tensor, targets: Tensor, *, cam: str = "layer-cam", layers: str = "",
    fusion: Fusion = "max",
) -> Tensor:  # fmt: skip
    """S = max_l up(tanh(2 S_l / max S_l)) over `layers`, S_l the rectified map of `cam` at a layer
    (section III-C).

    `fusion=mean` is the mean over the layers in place of the maximum. Maps have the resolution of the finest layer.
    `fused-cam(layers="layer2,layer3,layer4")` is LayerCAM fused over stages, `fused-cam(cam=score-cam,layers="…")` is
    Score-CAM over several layers.

    Skipped where no layers are named. UsageError for a layer or a `cam` that does not exist, and for one that draws at
    random.

    Known failure: shallow layers show edges whatever the class; the maximum lets them in.
    """
    found = layer_maps("fused-cam", classifier, images, targets, cam, layers, lambda S: torch.tanh(SHARPNESS * S))
    return FUSIONS[fusion](found)


@explainer("refine-cam", paper="arXiv 2605.14641 (RefineCAM)", passes=passes, order="up-then-min-max", padded=False,
           uses_layer=False)  # fmt: skip
def refine_cam(
    classifier: Classifier, images: Tensor, targets: Tensor, *, cam: str = "grad-cam++", layers: str = ""
) -> Tensor:
    """S = Π_l up(S_l / max S_l) over `layers`, S_l the rectified map of `cam` at a layer.

    pytorch-grad-cam's reading, with its default CAM. Maps have the resolution of the finest layer. Skipped and refused
    as `fused-cam` is.

    Known failure: where one layer finds nothing the product is 0, whatever the others find.
    """
    return layer_maps("refine-cam", classifier, images, targets, cam, layers).prod(0)


def layer_maps(
    name: str, classifier: Classifier, images: Tensor, targets: Tensor, cam: str, layers: str,
    scale: Callable[[Tensor], Tensor] = lambda S: S,
) -> Tensor:  # fmt: skip
    """(L, B, h, w) rectified maps of `cam` at the layers, each over its maximum, scaled, then at the finest one's
    resolution. Raises Skip and UsageError."""
    check_targets(classifier, targets)
    named = split_list(layers)
    if not named:
        raise Skip(f'it needs layers: {name}(layers="layer3,layer4"), by the names of the network')
    drawn = EXPLAINERS[cam].value
    if drawn.seeded or not drawn.uses_layer:
        raise UsageError(f"{name}: cam={cam} has no map of a layer; take one such as layer-cam")
    found = [drawn.function(classifier.cut_at(layer), images, targets).detach().relu() for layer in named]
    size = max((one.shape[1:] for one in found), key=lambda shape: shape[0] * shape[1])
    scaled = [scale(S / S.amax((1, 2), keepdim=True).clamp_min(1e-12)) for S in found]
    return torch.stack([F.interpolate(S[:, None], size, mode="bilinear", align_corners=False)[:, 0] for S in scaled])
