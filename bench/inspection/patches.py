"""The places of a data set's images at which a channel is largest, and what it sees of them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.core.classifier import Classifier

PROBES = 4
"""Random images that tell what a position of a map depends on."""


@dataclass(frozen=True)
class Patch:
    """Where a channel is largest in an image."""

    value: float
    image: str
    pixels: Tensor
    """(3, S, S)."""
    box: tuple[int, int, int, int]
    """x0, y0, x1, y1 of the receptive field, ends exclusive, cut to the image."""

    @property
    def cut(self) -> Tensor:
        x0, y0, x1, y1 = self.box
        return self.pixels[:, y0:y1, x0:x1]


@torch.no_grad()
def strongest(
    classifier: Classifier, channel: int, images: Iterable[tuple[str, Tensor]], count: int = 9
) -> list[Patch]:
    """The `count` images (name, (3, S, S)) whose map of a channel has the largest maxima, one place each, largest
    first."""
    found: list[tuple[float, int, str, Tensor, tuple[int, int]]] = []
    for number, (name, pixels) in enumerate(images):
        values = classifier.features(pixels[None].to(classifier.device))[0, channel]
        row, column = divmod(int(values.argmax()), values.shape[1])
        heapq.heappush(found, (float(values.max()), -number, name, pixels, (row, column)))
        if len(found) > count:
            heapq.heappop(found)
    best = sorted(found, key=lambda entry: entry[:2], reverse=True)
    return [Patch(value, name, pixels, receptive_field(classifier, *at)) for value, _, name, pixels, at in best]


def receptive_field(classifier: Classifier, row: int, column: int) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the pixels that a position of the maps depends on: where its gradient is not 0 for any of some
    random images, so that it holds for any network."""
    size = classifier.input_size
    images = torch.rand(PROBES, 3, size, size, generator=torch.Generator().manual_seed(0)).to(classifier.device)
    with torch.enable_grad():
        images.requires_grad_(True)
        maps = classifier.features(images)
        signs = torch.rand(maps.shape[1], generator=torch.Generator().manual_seed(1)).to(maps)
        (gradient,) = torch.autograd.grad((maps[:, :, row, column] * signs).sum(), images)
    touched = gradient.abs().sum((0, 1)) > 0
    if not touched.any():
        return 0, 0, size, size
    rows, columns = touched.any(1).nonzero(), touched.any(0).nonzero()
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
