"""What the adapters on Captum share. Pixel attributions get one image at a time, so that Captum's internal batches do
not depend on the batch, and CHUNK rows of it at most, which bounds the memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from bench.core.classifier import Classifier
from methods._common import check_targets, one_by_one

CHUNK = 32


def attribute(
    classifier: Classifier, images: Tensor, targets: Tensor, run: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """(B, 3, H, W) attributions of `run(images, targets)`, on copies of the images that require a gradient."""
    check_targets(classifier, targets)
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.filterwarnings("ignore", message="Setting (forward, )?backward hooks")
        return run(images.detach().clone().requires_grad_(), targets).detach()


def attribute_singly(
    classifier: Classifier, images: Tensor, targets: Tensor, run: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """`attribute`, one image at a time."""
    return torch.cat([attribute(classifier, *one, run) for one in one_by_one(images, targets)])


def strongest(attributions: Tensor) -> Tensor:
    """(B, H, W) largest magnitude over the colour channels."""
    return attributions.abs().amax(1)
