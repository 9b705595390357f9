"""What several explainers share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from bench.core.explainer import Passes
from bench.core.ranges import within

Chunk = Annotated[int, within(1, 4096)]
"""Images that go through the classifier at a time."""


def check_targets(classifier: Classifier, targets: Tensor) -> None:
    """Raises UsageError unless all class indices lie in [0, C).

    Libraries take -1 for the last class, and on a GPU an index out of range ends the process's CUDA context.
    """
    wrong = targets[(targets < 0) | (targets >= classifier.num_classes)].tolist()
    if wrong:
        raise UsageError(f"class {wrong[0]} does not exist; {classifier.name} has 0 to {classifier.num_classes - 1}")


def of_targets(values: Tensor, targets: Tensor) -> Tensor:
    """(B,) entries of values (B, C) at the class indices (B,)."""
    return values.gather(1, targets[:, None])[:, 0]


def others(logits: Tensor, targets: Tensor) -> Tensor:
    """Logits (B, C) with -inf at the class indices (B,)."""
    return logits.scatter(1, targets[:, None], -torch.inf)


@torch.no_grad()
def channels(classifier: Classifier) -> int:
    """K, the number of the target layer's maps."""
    black = torch.zeros(1, 3, classifier.input_size, classifier.input_size, device=classifier.device)
    return classifier.features(black).shape[1]


def one_by_one(images: Tensor, targets: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Batches of one, (1, 3, H, W) and (1,)."""
    return list(zip(images.split(1), targets.split(1), strict=True))


def one_of(rest: Sequence[Tensor], index: int) -> list[Tensor]:
    """What crosses the cut beside A, of one image of the batch."""
    return [tensor[index : index + 1] for tensor in rest]


def pass_per_channel(classifier: Classifier, **_: object) -> Passes:
    """One pass for the maps and one for each of them."""
    return Passes(1 + channels(classifier))
