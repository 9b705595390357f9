"""Meaningful Perturbation: the smallest blur that takes the class away."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import Passes, explainer
from bench.core.perturb import blur
from bench.core.ranges import above, within
from methods._common import check_targets, of_targets


def passes(classifier: Classifier, *, steps: int = 300, **_: object) -> Passes:
    return Passes(steps, steps)


def total_variation(m: Tensor, power: float) -> Tensor:
    """(B,) mean |Δm|^power between neighbours down and across, of masks (B, h, w)."""
    down, across = m[:, 1:] - m[:, :-1], m[:, :, 1:] - m[:, :, :-1]
    return down.abs().pow(power).mean((1, 2)) + across.abs().pow(power).mean((1, 2))


@explainer("meaningful-perturbation", paper="Fong & Vedaldi 2017, arXiv 1704.03296", passes=passes,
           order="up-then-min-max", padded=False, uses_layer=False)  # fmt: skip
def meaningful_perturbation(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    *,
    steps: Annotated[int, within(1, 10_000)] = 300,
    lr: Annotated[float, above(0, 100)] = 0.1,
    grid: Annotated[int, within(2, 512)] = 28,
    l1: Annotated[float, within(0, 1000)] = 0.01,
    tv: Annotated[float, within(0, 1000)] = 0.2,
    power: Annotated[float, within(1, 10)] = 3.0,
) -> Tensor:
    """S = 1 - m, m (grid, grid) in [0, 1] the mask that keeps least of the class at the least cost: `steps` of Adam on

        p_c(x · up(m) + blur(x) · (1 - up(m))) + l1 · mean|1 - m| + tv · mean|Δm|^power,

    from m = 1. blur is a Gaussian of 11 pixels, sigma 5. Maps (B, grid, grid). Each image has its own mask, moments and
    loss, so a map does not depend on its batch. The paper's code adds Gaussian jitter and noise to x, left out here.

    Known failure: it finds the least change that fools the network, which may be a few pixels and no object.
    """
    check_targets(classifier, targets)
    blurred = blur(images, classifier.mean, 11, 5.0)
    m = images.new_ones(len(images), grid, grid).requires_grad_()
    adam = torch.optim.Adam([m], lr=lr)
    for _ in range(steps):
        shown = F.interpolate(m[:, None], images.shape[-2:], mode="bilinear", align_corners=False)
        logits = classifier.logits(images * shown + blurred * (1 - shown))
        p = of_targets(classifier.output.log_probabilities(logits), targets).exp()
        loss = p + l1 * (1 - m).abs().mean((1, 2)) + tv * total_variation(m, power)
        (m.grad,) = torch.autograd.grad(loss.sum(), m)
        adam.step()
        with torch.no_grad():
            m.clamp_(0, 1)
    return 1 - m.detach()
