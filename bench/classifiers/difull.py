"""DiFull (Rao et al. 2022, arXiv 2205.10435): the cells of a mosaic classified apart, so that it is known which pixels
a logit cannot depend on."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from bench.core.net.graph_split import GraphSplit
from bench.core.net.hook_split import HookSplit


def cells_apart(classifier: Classifier, n: int) -> Classifier:
    """The classifier of S × S mosaics that runs `classifier`'s net on each of the n × n cells alone.

    Logits (B, n · n · C), cell after cell in reading order, classes "cell 1: tench", …; the target layer holds the
    cells' maps (B, K, n · h, n · w), joined as the cells are. A logit's gradient is exactly zero outside its cell.
    Raises UsageError when S is not divisible by n, or when the net does not take images of S / n pixels.
    """
    size = classifier.input_size
    if size % n:
        whole = [str(k) for k in range(2, 9) if size % k == 0]
        raise UsageError(
            f"difull needs cells of one size, but {n} × {n} cells do not divide the {size} pixels of "
            f"{classifier.name}; n may be {', '.join(whole)}"
        )
    if not classifier.output.raw:
        raise UsageError(f"difull joins logits, and {classifier.name} gives {classifier.output.name}")
    split = cast(GraphSplit | HookSplit, classifier.module.net)
    try:
        with torch.no_grad():
            split(torch.zeros(1, 3, size // n, size // n, device=classifier.device, dtype=classifier.dtype))
    except Exception as error:  # a net may fail in any way on a size that it is not made for
        raise UsageError(
            f"difull needs a net that takes images of any size, but {classifier.name} cannot classify cells of "
            f"{size // n} × {size // n} pixels: {' '.join(str(error).split())}"
        ) from error
    return Classifier(
        CellsApart(split, n),
        name=f"{classifier.name}-difull-{n}x{n}",
        layer="join",
        input_size=size,
        mean=classifier.mean.tolist(),
        std=classifier.std.tolist(),
        interpolation=classifier.interpolation,
        classes=[f"cell {cell}: {name}" for cell in range(1, n * n + 1) for name in classifier.classes],
        origin=classifier.origin,
        device=classifier.device,
        dtype=classifier.dtype,
        output=classifier.output.name,
        source=classifier.source,
    )


class CellsApart(nn.Module):
    """Normalised mosaics (B, 3, S, S) to the logits (B, n · n · C) of their cells."""

    def __init__(self, split: GraphSplit | HookSplit, n: int):
        super().__init__()
        self.split = split
        self.n = n
        self.join = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        maps, rest = self.split.trunk(cut(x, self.n))
        logits = self.split.head(cut(self.join(joined(maps, self.n)), self.n), rest)
        result: Tensor = logits.unflatten(0, (-1, self.n * self.n)).flatten(1)
        return result


def cut(x: Tensor, n: int) -> Tensor:
    """(B, K, n · h, n · w) to its cells in reading order, (B · n · n, K, h, w)."""
    result: Tensor = x.unflatten(3, (n, -1)).unflatten(2, (n, -1)).permute(0, 2, 4, 1, 3, 5).flatten(0, 2)
    return result


def joined(cells: Tensor, n: int) -> Tensor:
    """The inverse of `cut`."""
    result: Tensor = cells.unflatten(0, (-1, n, n)).permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
    return result
