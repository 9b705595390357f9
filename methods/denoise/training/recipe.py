"""All that a training with denoised gradients depends on besides the images."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from methods.training.schedules import Schedule, fifths, one_cycle

SCHEDULES: Mapping[str, Schedule] = {"fifths": fifths, "one-cycle": one_cycle}


@dataclass(frozen=True)
class Recipe:
    """The paper states λ and E for ResNet-18; the rest are the defaults of the CIFAR code that its authors credit."""

    model: str = "resnet18"
    error: str = "cosine"
    weight: float = 7.5e-3
    """λ; 0 is plain training, without a second pass."""
    lr: float = 0.1
    """Highest learning rate of SGD with momentum 0.9."""
    weight_decay: float = 5e-4
    schedule: str = "fifths"
    augment: bool = True
    """Shifts, flips and tilts."""
    epochs: int = 200
    batch_size: int = 128
    seed: int = 0

    def optimiser_of(self, net: nn.Module) -> torch.optim.Optimizer:
        groups = [{"params": list(net.parameters()), "peak": self.lr}]
        return torch.optim.SGD(groups, self.lr, momentum=0.9, weight_decay=self.weight_decay)

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)
