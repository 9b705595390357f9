"""The class activation map of Sharpen Focus."""

from __future__ import annotations

from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import explainer
from methods._class_gradient import gradient_passes, maps_and_gradient
from methods._common import check_targets


@explainer("sharpen-focus", paper="Wang et al. 2019, arXiv 1811.07484", passes=gradient_passes, order="two-step")
def sharpen_focus(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """S = Σ_k w_k A_k with w_k = mean_ij ReLU(g_k), g_k = ∂f_c/∂A_k: Grad-CAM of the positive gradients.

    What the paper does at inference; its training losses, which separate the maps of rival classes, are no part of it.

    Known failure: without that training it drops what speaks against the class, as Grad-CAM++ does.
    """
    check_targets(classifier, targets)
    A, g = maps_and_gradient(classifier, images, targets)
    return (g.relu().mean((2, 3), keepdim=True) * A).sum(1)
