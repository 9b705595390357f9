"""LeGrad: how sensitive the attention of every block of a vision transformer makes the class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from bench.core.classifier import Classifier
from bench.core.errors import Skip
from bench.core.explainer import Passes, explainer
from bench.core.net.layers import hooked
from methods._common import check_targets, of_targets


def without_blocks(classifier: Classifier) -> str | None:
    return None if blocks_of(classifier) else f"has no list of blocks around layer {classifier.layer}"


def passes(classifier: Classifier) -> Passes:
    """The mean token of every block goes through the head."""
    return Passes(2, len(blocks_of(classifier)))


@explainer("legrad", paper="Bousselham et al. 2024 (LeGrad), arXiv 2404.03214", passes=passes,
           skip=without_blocks, order="up-then-min-max", uses_layer=False)  # fmt: skip
def legrad(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """S = mean over blocks l, heads and looking tokens of ReLU(∂s_l/∂A_l), at the patches; s_l is the class's logit of
    the mean token behind block l, through what the network does behind its last block. Maps (B, h, w).

    As torch-cam reads it, for every block and for any transformer whose blocks stand in one list. Skipped for others.

    Known failure: the mean token of an early block is read by a head that was trained for the last.
    """
    check_targets(classifier, targets)
    blocks = blocks_of(classifier)
    with torch.enable_grad(), kept(blocks) as tokens:
        found = classifier.attention(images.detach().clone().requires_grad_())
        if len(found.weights) != len(blocks) or any(token.ndim != 3 for token in tokens):
            raise Skip(f"the blocks of {classifier.name} do not attend once each")
        means = [token.mean(1, keepdim=True).expand_as(token) for token in tokens]
        joint = torch.cat(means).detach().requires_grad_()
        with hooked(blocks[-1], lambda *_: joint):
            scores = of_targets(classifier.run(images), targets.repeat(len(blocks)))
    by_means = torch.autograd.grad(scores.sum(), joint)[0].split(len(images))
    relevance: Tensor = torch.zeros(())
    for mean, by_mean, weights in zip(means, by_means, found.weights, strict=True):
        (gradient,) = torch.autograd.grad(mean, weights, by_mean, retain_graph=True)
        relevance = relevance + gradient.relu().mean((1, 2)) / len(blocks)
    maps: Tensor = relevance[:, found.prefix :].unflatten(1, (found.side, found.side))
    return maps


def blocks_of(classifier: Classifier) -> list[nn.Module]:
    """The modules of the innermost list that holds the target layer; none where no list does."""
    parts = classifier.layer.split(".")
    for length in range(len(parts), 0, -1):
        module = classifier.net.get_submodule(".".join(parts[:length]))
        if isinstance(module, nn.Sequential | nn.ModuleList) and len(module) > 1 and length < len(parts):
            return list(module)
    return []


@contextmanager
def kept(blocks: list[nn.Module]) -> Iterator[list[Tensor]]:
    """Inside, what the blocks give is appended to the list."""
    tokens: list[Tensor] = []
    with ExitStack() as stack:
        for block in blocks:
            stack.enter_context(hooked(block, lambda module, inputs, output: tokens.append(output)))
        yield tokens
