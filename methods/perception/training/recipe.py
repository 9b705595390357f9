"""All that the training of an inverting decoder depends on besides network and images."""

from __future__ import annotations

from dataclasses import dataclass

from methods.training.recipe import BaseRecipe


@dataclass(frozen=True)
class Recipe(BaseRecipe):
    """The weights are those of the authors' selected model; it was trained for about 250 epochs at 512 channels."""

    feature: float = 0.4
    pixel: float = 0.2
    ssim: float = 0.4
    """Weights of the squared error of the maps, of the squared error of the pixels, and of 1 - SSIM."""
    width: int = 512
    """Channels of the first blocks."""
    lr: float = 1e-4
    augment: bool = True
    """Random crops and flips."""
    epochs: int = 250
    batch_size: int = 64
    seed: int = 0
