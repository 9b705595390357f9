"""The two smoothings that pytorch-grad-cam offers for any of its CAMs, as a CAM of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import EXPLAINERS, Passes, explainer
from bench.core.maps import min_max
from methods._components import turned
from methods._grad_cam_library import library_map

Cam = Literal["grad-cam", "grad-cam++", "xgrad-cam", "hires-cam", "layer-cam", "grad-cam-elementwise"]
CLASSES: Mapping[Cam, str] = {
    "grad-cam": "GradCAM", "grad-cam++": "GradCAMPlusPlus", "xgrad-cam": "XGradCAM", "hires-cam": "HiResCAM",
    "layer-cam": "LayerCAM", "grad-cam-elementwise": "GradCAMElementWise",
}  # fmt: skip
FACTORS = (0.9, 1.0, 1.1)
"""Of the normalised pixels."""


def passes(classifier: Classifier, *, cam: Cam = "grad-cam", augment: bool = True, **_: object) -> Passes:
    one, copies = EXPLAINERS[cam].value.cost(classifier), 2 * len(FACTORS) if augment else 1
    return Passes(copies * one.forward, copies * one.backward)


@explainer("smoothed-cam", paper="pytorch-grad-cam (aug_smooth, eigen_smooth)", library="grad-cam", passes=passes,
           order="two-step", padded=False)  # fmt: skip
def smoothed_cam(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    *,
    cam: Cam = "grad-cam",
    augment: bool = True,
    eigen: bool = False,
) -> Tensor:
    """S = mean over copies of min-max(ReLU(S_i)), S_i the map of `cam` on a copy, moved back.

    The copies are the image and its mirror image, the normalised pixels times 0.9, 1 and 1.1. `eigen` takes the first
    principal component of the weighted maps in place of their sum; its sign, arbitrary in the library, agrees here with
    the sum. `augment=false` takes the image alone; without both it is `cam`, scaled.

    Known failure: a smoothing of the picture, not of the network's reasons: what it averages away may be true.
    """
    mean = classifier.mean.to(images)[:, None, None]
    copies = [(mirrored, factor) for mirrored in (False, True) for factor in FACTORS] if augment else [(False, 1.0)]
    maps = []
    for mirrored, factor in copies:
        shown = mean + factor * (images.flip(3) if mirrored else images).sub(mean)
        S = library_map(CLASSES[cam], classifier, shown, targets)
        if eigen:
            component = library_map(CLASSES[cam], classifier, shown, targets, eigen_smooth=True)
            S = turned(component, S, torch.linalg.vector_norm(component, dim=(1, 2)))
        maps.append(min_max((S.flip(2) if mirrored else S).relu()))
    return torch.stack(maps).mean(0)
