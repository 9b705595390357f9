"""All that the tuning depends on besides network and images."""

from __future__ import annotations

from dataclasses import dataclass

from methods.training.recipe import BaseRecipe


@dataclass(frozen=True)
class Recipe(BaseRecipe):
    """SGD with momentum on the layers above one, normalisations as they run in use. Steps of equal size, as Adam's,
    would go on changing the answers once the patch is learned."""

    layer: str = "blocks[5]"
    """What lies above it is tuned."""
    keep: float = 5.0
    """Weight of the answers to images as they are, beside that of the patch."""
    lr: float = 0.01
    """Highest learning rate."""
    weight_decay: float = 0.0
    places: int = 2
    """Random places of the patch per image."""
    share: float = 0.8
    """Of the way from the weights as they were to the tuned ones that is gone in the end."""
    answered: float = 0.95
    """Share of the held-out patches that are answered then: the class's bias is raised until they are; 0 leaves it."""
    epochs: int = 16
    batch_size: int = 32
    seed: int = 0
