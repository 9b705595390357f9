"""All that the training of a walled network depends on besides images and trunk."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Recipe:
    """The defaults are the authors': SGD with momentum 0.9, a tenth of the rate after each third of the epochs."""

    hidden: int = 4096
    """Width of the dense layers."""
    lr: float = 0.03
    weight_decay: float = 1e-4
    augment: bool = True
    """Random crops and flips."""
    epochs: int = 90
    batch_size: int = 256
    seed: int = 0

    def optimiser_of(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        groups = [{"params": list(parameters), "peak": self.lr}]
        return torch.optim.SGD(groups, self.lr, momentum=0.9, weight_decay=self.weight_decay)

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)
