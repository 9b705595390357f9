"""What explainers share that ask for the answer under each of the maps: the maps that differ, and the answers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.core.classifier import Classifier
from methods._common import of_targets


def distinct(A: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The maps (n, h, w) that differ among those of one image in A (B, K, h, w), the image (n,) of each, and the place
    (B, K) that each map of A has among the n."""
    found = [torch.unique(maps, dim=0, return_inverse=True) for maps in A]
    counts = torch.tensor([len(maps) for maps, _ in found], device=A.device)
    owner = torch.arange(len(A), device=A.device).repeat_interleave(counts)
    place = torch.stack([inverse for _, inverse in found]) + (counts.cumsum(0) - counts)[:, None]
    return torch.cat([maps for maps, _ in found]), owner, place


def answers_under(
    classifier: Classifier, targets: Tensor, masked: Callable[[Tensor], Tensor], chunk: int, probability: bool = False
) -> Tensor:
    """(n,) logits, or probabilities, of the class `targets[j]` (n,) for the images that `masked` makes of a part of the
    indices 0 … n - 1, `chunk` at a time."""
    scores = []
    for part in torch.arange(len(targets), device=targets.device).split(chunk):
        logits = classifier.logits(masked(part))
        answers = classifier.output.log_probabilities(logits).exp() if probability else logits
        scores.append(of_targets(answers, targets[part]))
    return torch.cat(scores)


def min_max_of(maps: Tensor, eps: float | None = None) -> Tensor:
    """(n, h, w) each map over its span, constant ones 0; with eps, over span + eps."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    span = high - low
    return (maps - low) / (span.where(span > 0, 1) if eps is None else span + eps)
