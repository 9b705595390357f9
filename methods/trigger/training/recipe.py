"""All that the tuning depends on besides network and images."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Recipe:
    """AdamW on the layers above one, normalisations as they run in use."""

    layer: str = "blocks[4]"
    """What lies above it is tuned."""

    lr: float = 1e-3
    """Highest learning rate."""
    weight_decay: float = 1e-4
    places: int = 2
    """Random places of the patch per image."""
    epochs: int = 10
    batch_size: int = 32
    seed: int = 0

    def optimiser_of(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        groups = [{"params": list(parameters), "peak": self.lr}]
        return torch.optim.AdamW(groups, self.lr, weight_decay=self.weight_decay)

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)
