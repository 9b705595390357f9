"""A layer's maps and the gradient of the class score with respect to them: what the gradient CAMs start from."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import Passes
from methods._common import of_targets


def maps_and_gradient(classifier: Classifier, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """A and g = ∂f_c/∂A, each (B, K, h, w), f_c the logit of an image's class."""
    with torch.no_grad():
        features, rest = classifier.trunk(images)
    A = features.detach().requires_grad_()
    with torch.enable_grad():
        (g,) = torch.autograd.grad(of_targets(classifier.head(A, rest), targets).sum(), A)
    return features, g


def gradient_passes(classifier: Classifier, times: int = 1, **_: object) -> Passes:
    """What `maps_and_gradient` costs: a head that cannot be cut off takes a whole pass."""
    return Passes(times * (1 if classifier.traced else 2), times)
