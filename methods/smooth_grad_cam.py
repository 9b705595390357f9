"""Smooth Grad-CAM++: Grad-CAM++ of noisy copies, in the readings that are about."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import Passes, explainer
from bench.core.ranges import within
from methods._class_gradient import gradient_passes, maps_and_gradient
from methods._common import check_targets

Variant = Literal["paper", "average", "torch-cam"]


def passes(classifier: Classifier, *, samples: int = 4, variant: Variant = "paper", **_: object) -> Passes:
    noisy = gradient_passes(classifier, samples)
    return noisy if variant == "average" else Passes(noisy.forward + 1, noisy.backward)


def over(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Their quotient, 0 where the denominator is."""
    return torch.where(denominator != 0, numerator / denominator.where(denominator != 0, 1), 0)


def alpha(A: Tensor, second: Tensor, third: Tensor) -> Tensor:
    """(B, K, h, w) a = g² / (2 g² + (Σ_ab A) g³), 0 where there is no gradient."""
    return over(second, 2 * second + A.sum((2, 3), keepdim=True) * third)


@explainer("smooth-grad-cam++", paper="Omeiza et al. 2019, arXiv 1908.01224", passes=passes, order="two-step",
           padded=False)  # fmt: skip
def smooth_grad_cam_plus_plus(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    *,
    samples: Annotated[int, within(1, 1000)] = 4,
    sigma: Annotated[float, within(0, 10)] = 0.3,
    variant: Variant = "paper",
    seeds: Tensor,
) -> Tensor:
    """S = Σ_k w_k A_k with w_k = Σ_ij a ReLU(D1), a = D2 / (2 D2 + (Σ_ab A_k) D3), D_n the mean of g_k^n over `samples`
    images x + N(0, sigma²), the deviation in the network's normalised pixels; A_k of the clean image.

    `variant`: `torch-cam` takes the ReLU of the last copy's gradient in place of D1's, as that library does; `average`
    is the mean of the copies' own Grad-CAM++ maps, as the method is often described. Samples and sigma are torch-cam's
    defaults; the paper's text gives none that we could read. Without noise all three are Grad-CAM++.

    Known failure: the noisy images lie outside what the net was trained on; a handful of samples leaves noise.
    """
    check_targets(classifier, targets)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds.tolist()]
    deviation = sigma * classifier.std.to(images)[:, None, None]
    means: list[Tensor] = []
    last, total = torch.zeros(()), torch.zeros(())
    for sample in range(samples):
        noise = torch.stack([torch.randn(images.shape[1:], generator=generator) for generator in generators])
        A, g = maps_and_gradient(classifier, images + deviation * noise.to(images), targets)
        powers, last = [g, g.square(), g**3], g
        means = [old + (new - old) / (sample + 1) for old, new in zip(means or powers, powers, strict=True)]
        weights = (alpha(A, powers[1], powers[2]) * g.relu()).sum((2, 3), keepdim=True)
        total = total.to(A) + (weights * A).sum(1) / samples
    if variant == "average":
        return total
    A = classifier.features(images)
    positive = (last if variant == "torch-cam" else means[0]).relu()
    return ((alpha(A, means[1], means[2]) * positive).sum((2, 3), keepdim=True) * A).sum(1).detach()
