"""Integrated Grad-CAM: Grad-CAM along the path from a black image."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import Passes, explainer
from bench.core.ranges import within
from methods._class_gradient import gradient_passes, maps_and_gradient
from methods._common import check_targets

Variant = Literal["code", "paper"]


def passes(classifier: Classifier, *, steps: int = 50, variant: Variant = "code") -> Passes:
    path = gradient_passes(classifier, steps)
    return path if variant == "code" else Passes(path.forward + 2, path.backward)


@explainer("integrated-grad-cam", paper="Sattarzadeh et al. 2021, arXiv 2102.07805", passes=passes, order="two-step",
           quick="steps=5", padded=False)  # fmt: skip
def integrated_grad_cam(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    *,
    steps: Annotated[int, within(1, 1000)] = 50,
    variant: Variant = "code",
) -> Tensor:
    """S = Σ_t ReLU(Σ_k mean_ij(g_k(t x)) A_k(t x)) over t = 0, 1/n, …, (n-1)/n: the authors' code, a Grad-CAM a step.

    `variant=paper`: S = Σ_k mean_t mean_ij(g_k(t x)) (A_k(x) - A_k(0)), the gradient's path integral times the
    difference of the maps, without a ReLU before the sum.

    Known failure: dark copies of an image are none that the net was trained on; the path's choice of black matters.
    """
    check_targets(classifier, targets)
    total, mean_weights = torch.zeros(()), torch.zeros(())
    for step in range(steps):
        A, g = maps_and_gradient(classifier, images * (step / steps), targets)
        weights = g.mean((2, 3), keepdim=True)
        mean_weights = mean_weights.to(A) + weights / steps
        total = total.to(A) + (weights * A).sum(1).relu()
    if variant == "code":
        return total
    with torch.no_grad():
        change = classifier.features(images) - classifier.features(torch.zeros_like(images))
    return (mean_weights * change).sum(1)
