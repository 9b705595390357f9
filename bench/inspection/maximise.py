"""Activation maximisation: the image that a class or a channel answers to most."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from tqdm import trange

from bench.core.classifier import Classifier

Activation = Callable[[Tensor], Tensor]
"""Images (B, 3, S, S) in [0, 1] to what is maximised (B,)."""


def of_class(classifier: Classifier, index: int) -> Activation:
    """The logit of a class."""
    return lambda images: classifier.logits(images)[:, index]


def of_channel(classifier: Classifier, index: int) -> Activation:
    """The mean of a map of the target layer."""
    return lambda images: classifier.features(images)[:, index].mean((1, 2))


def maximise(
    activation: Activation, mean: Tensor, size: int, l2: float, steps: int = 200, step: float = 2.0, shift: int = 16,
    seed: int = 0,
) -> Tensor:  # fmt: skip
    """(3, S, S) in [0, 1]: arg max over images x of a(x) - l2 · mean over values of (x - mean)², by gradient ascent
    from the mean colour with a little noise (Simonyan et al. 2014, arXiv 1312.6034, section 2, where the image has zero
    mean).

    A step has the norm `step`, which falls to 0 along a line. Before each the image is rolled by up to `shift` pixels,
    or high frequencies that no photograph has win, whatever l2 is; l2 = 0 and shift = 0 show that.
    """
    generator = torch.Generator().manual_seed(seed)
    ground = mean[:, None, None].expand(3, size, size)
    x = (ground.cpu() + 0.01 * torch.randn(3, size, size, generator=generator)).to(mean).clamp(0, 1)
    for number in trange(steps, desc="maximising", dynamic_ncols=True, leave=False):
        down, right = torch.randint(-shift, shift + 1, (2,), generator=generator).tolist()
        leaf = x.requires_grad_(True)
        objective = activation(leaf[None].roll((down, right), (2, 3)))[0] - l2 * (leaf - ground).square().mean()
        (gradient,) = torch.autograd.grad(objective, leaf)
        length = gradient.norm().clamp(min=1e-12)
        x = (x.detach() + step * (1 - number / steps) * gradient / length).clamp(0, 1)
    return x.detach()
