"""Training images beside the stored maps that a decoder imitates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.core.dataset import Sample
from bench.data.maps import PrecomputedMaps
from methods.decoder.architecture import min_max
from methods.training.photographs import Batch, Photographs, Ticket


@dataclass
class PhotographsWithMaps(Photographs):
    """Photographs whose batches have the stored map as `reference` (B, S, S)."""

    references: PrecomputedMaps | None = None

    def __getitem__(self, ticket: Ticket) -> Batch | None:
        found = super().__getitem__(ticket)
        if found is None or self.references is None:
            return found
        return {**found, "reference": self.reference(self.references, self.dataset.samples[ticket[1]])}

    def reference(self, references: PrecomputedMaps, sample: Sample) -> Tensor:
        """(S, S) in [0, 1]: the stored map, bilinear to the image, from its minimum to its maximum."""
        size = (self.size, self.size)
        stored = references.load(sample.id)[None, None]
        return min_max(torch.nn.functional.interpolate(stored, size, mode="bilinear", align_corners=False)[:, 0])[0]
