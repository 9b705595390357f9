"""All that the training of a walled network depends on besides images and trunk."""

from __future__ import annotations

from dataclasses import dataclass

from methods.training.recipe import BaseRecipe


@dataclass(frozen=True)
class Recipe(BaseRecipe):
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
