"""Maps from the self-attention of a vision transformer: as it is, rolled out, and weighted by its gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import Passes, explainer
from methods._common import check_targets, of_targets


@explainer("raw-attention", paper="Dosovitskiy et al. 2021 (ViT), arXiv 2010.11929", passes=Passes(1),
           order="up-then-min-max", uses_layer=False)  # fmt: skip
@torch.no_grad()
def raw_attention(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """S = what the class token takes from each patch in the last block, the mean over its heads. Maps (B, h, w).

    Without a class token the mean over the patches that look. Skipped for nets without attention over all patches.

    Known failure: the class plays no part, and the last block mixes tokens that hold the whole image already.
    """
    check_targets(classifier, targets)
    found = classifier.attention(images)
    return found.map(found.weights[-1].mean(1))


@explainer("attention-rollout", paper="Abnar & Zuidema 2020, arXiv 2005.00928", passes=Passes(1),
           order="up-then-min-max", uses_layer=False)  # fmt: skip
@torch.no_grad()
def attention_rollout(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """S = the class token's row of Â_L … Â_1, Â_l = (A_l + I) / 2 with A_l the attention of block l, the mean over its
    heads; rows sum to 1 (section 3). Maps (B, h, w).

    Skipped for nets without attention over all patches.

    Known failure: the class plays no part, and what a block does besides attending is taken for the identity.
    """
    check_targets(classifier, targets)
    found = classifier.attention(images)
    eye = torch.eye(found.weights[0].shape[-1]).to(found.weights[0])
    flow = eye.expand(len(images), -1, -1)
    for weights in found.weights:
        flow = (weights.mean(1) + eye) / 2 @ flow
    return found.map(flow)


@explainer("generic-attention", paper="Chefer et al. 2021, arXiv 2103.15679", passes=Passes(1, 1),
           order="up-then-min-max", uses_layer=False)  # fmt: skip
def generic_attention(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """S = the class token's row of R, which starts as I and grows by Ā_l R from block to block (equations 5 and 6),
    Ā_l = mean over heads of ReLU(A_l · ∂f_c/∂A_l). Maps (B, h, w).

    Skipped for nets without attention over all patches.

    Known failure: it multiplies attention and gradient and sees nothing of values and perceptrons.
    """
    check_targets(classifier, targets)
    with torch.enable_grad():
        found = classifier.attention(images.detach().clone().requires_grad_())
        gradients = torch.autograd.grad(of_targets(found.logits, targets).sum(), found.weights)
    relevance = torch.eye(found.weights[0].shape[-1]).to(images).expand(len(images), -1, -1)
    for weights, gradient in zip(found.weights, gradients, strict=True):
        relevance = relevance + (weights.detach() * gradient).relu().mean(1) @ relevance
    return found.map(relevance)
