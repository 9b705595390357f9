"""All that the training of a stream depends on besides network and images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from methods.training.recipe import BaseRecipe, momentum_sgd, peaked
from methods.training.schedules import Schedule, tenth_and_cosine, thirds

OPTIMISERS: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": momentum_sgd,
    "adamw": lambda parameters, lr, decay: torch.optim.AdamW(peaked(parameters, lr), lr, weight_decay=decay),
}
SCHEDULES: Mapping[str, Schedule] = {"thirds": thirds, "tenth-and-cosine": tenth_and_cosine}


@dataclass(frozen=True)
class Recipe(BaseRecipe):
    """The defaults are the authors' recipe for ResNets (`resnet_orig` in their code)."""

    optimiser: str = "sgd"
    lr: float = 0.1
    """Highest learning rate."""
    weight_decay: float = 1e-4
    schedule: str = "thirds"
    label_smoothing: float = 0.0
    mixup: float = 0.0
    """Parameter of the Beta distribution of mixed images; 0 mixes none."""
    cutmix: float = 0.0
    average: float = 0.0
    """Share of the former average that a step keeps; 0 takes the weights themselves. The authors name no figure."""
    augment: bool = True
    epochs: int = 90
    batch_size: int = 64
    seed: int = 0

    def optimiser_of(self, module: nn.Module) -> torch.optim.Optimizer:
        return OPTIMISERS[self.optimiser](module.parameters(), self.lr, self.weight_decay)

    @property
    def mixes(self) -> bool:
        return bool(self.mixup or self.cutmix)


RECIPES: Mapping[str, Recipe] = {
    "resnet": Recipe(),
    "convnext": Recipe(
        "adamw", 9e-3, 0.3, "tenth-and-cosine", label_smoothing=0.11, mixup=0.2, cutmix=1.0, average=0.999, epochs=100
    ),
}
"""As in the authors' code, where they are called `resnet_orig` and `vit_mod`."""
