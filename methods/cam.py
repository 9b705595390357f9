"""CAM: the last layer's own weights."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import explainer
from methods._common import check_targets


def no_linear_head(classifier: Classifier) -> str | None:
    if classifier.linear is None:
        return "needs a head of global average pooling and one linear layer"
    return None


@explainer("cam", paper="Zhou et al. 2016, arXiv 1512.04150", skip=no_linear_head, order="up-then-min-max")
@torch.no_grad()
def cam(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """S = Σ_k W_ck A_k, bias dropped; its mean over positions is f_c - b_c. No ReLU, in the paper's order neither.

    Known failure: only nets with such a head have it; on others there is nothing to read the weights from.
    """
    check_targets(classifier, targets)
    assert classifier.linear is not None
    weight, _ = classifier.linear
    return torch.einsum("bk,bkhw->bhw", weight[targets], classifier.features(images))
