"""Training images: split, and read in an order that depends on content only."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import default_collate

from bench.core.classifier import Classifier
from bench.core.dataset import Dataset, Sample
from bench.core.errors import UsageError
from bench.core.seeds import content_hash, forked_rng, seed_for
from bench.data.pixels import ImageProblem, load_image, open_image

log = logging.getLogger(__name__)

VALIDATION = 0.1
"""Share of the images that are held out, by hash of the id."""

Batch = dict[str, Tensor]
"""Tensors of B images by name: `images` uint8 (B, 3, S, S), `index`, where there are any `labels`, and what a cache has
of them."""
Ticket = tuple[int, int]
"""(epoch, index of the image)."""


Augmentation = Callable[[Image.Image, int, str], Tensor]
"""(image, side S, interpolation) to uint8 (3, S, S), at random."""


def held_out(sample: Sample) -> bool:
    return int(content_hash("validation", sample.id)[:8], 16) < VALIDATION * 2**32


def split(dataset: Dataset) -> tuple[list[int], list[int]]:
    """Indices of the images to train on and of those held out. Raises UsageError when either is empty."""
    test = [i for i, sample in enumerate(dataset.samples) if held_out(sample)]
    train = sorted(set(range(len(dataset.samples))) - set(test))
    if not train or not test:
        raise UsageError(
            f"{dataset.name} has {len(dataset.samples)} images, of which {len(test)} would be held out; "
            "training needs both kinds: add images"
        )
    return train, test


def batches(dataset: Dataset, indices: Sequence[int], size: int, seed: int, epoch: int) -> list[list[Ticket]]:
    """One epoch in the order of hash(seed, epoch, id)."""
    order = sorted(indices, key=lambda i: content_hash(seed, "order", epoch, dataset.samples[i].id))
    return [[(epoch, i) for i in order[start : start + size]] for start in range(0, len(order), size)]


@dataclass
class Photographs(TorchDataset[Batch | None]):
    """Images as uint8 with labels; a ticket of an image that cannot be used gives None."""

    dataset: Dataset
    size: int
    """Side S of the square that the net takes."""
    interpolation: str
    seed: int = 0
    augment: Augmentation | None = None
    labelled: bool = False
    known: Callable[[int], Batch] | None = None
    """What a cache has of an image by index, pixels included; raises ImageProblem."""

    def __len__(self) -> int:
        return len(self.dataset.samples)

    def __getitem__(self, ticket: Ticket) -> Batch | None:
        epoch, index = ticket
        sample = self.dataset.samples[index]
        try:
            found = self.known(index) if self.known else {"images": self.pixels(sample, epoch)}
        except ImageProblem as problem:
            log.warning("%s: %s; left out", sample.path, problem)
            return None
        found["index"] = torch.tensor(index)
        if self.labelled:
            found["labels"] = torch.tensor(sample.label)
        return found

    def pixels(self, sample: Sample, epoch: int) -> Tensor:
        """(3, S, S) uint8 as protocol `clean` shows it, or augmented as seed, epoch and id decide."""
        if not self.augment or epoch < 0:
            return (load_image(sample, "resize-crop", self.size, self.interpolation) * 255).round().byte()
        image = open_image(sample.path)
        with forked_rng(seed_for(self.seed, "augment", epoch, sample.id)):
            return self.augment(image, self.size, self.interpolation)


def collate(items: Iterable[Batch | None]) -> Batch:
    """A batch of the images that can be used, empty if none can."""
    usable = [item for item in items if item is not None]
    return default_collate(usable) if usable else {}


def pixels_of(images: Tensor, classifier: Classifier) -> Tensor:
    """uint8 to [0, 1] on the classifier's device."""
    return pixels_on(images, classifier.device, classifier.dtype)


def pixels_on(images: Tensor, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 to [0, 1] on a device, channels last in memory, where convolutions are quickest."""
    return (images.to(device).to(dtype) / 255).contiguous(memory_format=torch.channels_last)
