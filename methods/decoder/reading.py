"""What a decoder reads from a classifier, in one pass of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from methods._common import of_targets, others
from methods.decoder.architecture import DecoderConfig, Evidence, Reading

Tapped = Callable[[Tensor], tuple[list[Tensor], Tensor]]


def configure(
    classifier: Classifier, taps: Sequence[str] = (), *, stages: int | None = None, **options: Any
) -> DecoderConfig:
    """A decoder's configuration for a classifier, sizes read off a black image.

    `taps` are layers besides the target layer; `stages` defaults to as many as reach a quarter of the input size;
    `options` are further fields of `DecoderConfig`. Raises UsageError for an unknown layer and negative stages.
    """
    if stages is not None and stages < 0:
        raise UsageError(f"--stages must be at least 0, not {stages}")
    layers, size = (classifier.layer, *taps), classifier.input_size
    with torch.no_grad():
        maps, _ = tapped(classifier, layers)(torch.zeros(1, 3, size, size, device=classifier.device))
    sides = tuple(found.shape[-1] for found in maps)
    if stages is None:
        stages = max(0, math.ceil(math.log2(size / 4 / sides[0])))
    channels = tuple(found.shape[1] for found in maps)
    return DecoderConfig(layers, channels, sides, size, classifier.num_classes, stages, **options)


def takes_gradient(classifier: Classifier, config: DecoderConfig) -> bool:
    """Whether the class weights of the maps are the head's gradient, for want of a class row or by choice."""
    return config.weighted and (config.conditioning == "gradient" or classifier.linear is None)


def read(
    classifier: Classifier, config: DecoderConfig, images: Tensor, targets: Tensor | None = None, *, graph: bool = False
) -> Reading:
    """The maps, logits and class weights of images (B, 3, S, S); `targets` default to the predicted classes.

    With `graph` maps and logits keep their graph, for training the classifier too; class weights never do.
    """
    gradient = takes_gradient(classifier, config)
    with torch.set_grad_enabled(graph or gradient):
        x = images.detach().requires_grad_() if gradient else images
        maps, logits = tapped(classifier, config.layers)(x)
    if targets is None:
        targets = logits.detach().argmax(1)
    weights = None
    if gradient:
        evidence = config.evidence if classifier.output.exclusive else "logit"  # which is the log-odds of its own class
        score = SCORES[evidence](logits, targets).sum()
        weights = torch.autograd.grad(score, maps[0], retain_graph=graph)[0].mean((2, 3))
    elif config.weighted:
        weights = row_weights(classifier, config, logits.detach(), targets)
    if not graph:
        maps, logits = [found.detach() for found in maps], logits.detach()
    return Reading(tuple(maps), logits, targets, weights)


def log_odds(logits: Tensor, targets: Tensor) -> Tensor:
    """(B,) log p_c / (1 − p_c)."""
    return of_targets(logits, targets) - others(logits, targets).logsumexp(1)


SCORES: dict[Evidence, Callable[[Tensor, Tensor], Tensor]] = {"logit": of_targets, "log-odds": log_odds}


def row_weights(classifier: Classifier, config: DecoderConfig, logits: Tensor, targets: Tensor) -> Tensor:
    """(B, K) gradient of the score with respect to the pooled maps, from a linear head's rows: W_c for a logit,
    W_c − Σ_{j≠c} q_j W_j for log-odds."""
    assert classifier.linear is not None
    rows = classifier.linear[0]
    if config.evidence == "logit" or not classifier.output.exclusive:
        return rows[targets]
    return rows[targets] - others(logits, targets).softmax(1).to(rows.dtype) @ rows


@lru_cache(maxsize=2)
def tapped(classifier: Classifier, layers: tuple[str, ...]) -> Tapped:
    """`Classifier.taps`, whose making costs as much as several passes."""
    return classifier.taps(layers)
