"""All that a training with denoised gradients depends on besides the images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from methods.training.recipe import BaseRecipe
from methods.training.schedules import Schedule, fifths, one_cycle

SCHEDULES: Mapping[str, Schedule] = {"fifths": fifths, "one-cycle": one_cycle}


@dataclass(frozen=True)
class Recipe(BaseRecipe):
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
