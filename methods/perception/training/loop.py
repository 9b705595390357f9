"""The training of an inverting decoder: the image that it draws has the maps, the pixels and the structure of the one
that the maps are of."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench.core.classifier import Classifier
from methods.perception.architecture import Inverter
from methods.perception.loss import ssim
from methods.perception.training.recipe import Recipe
from methods.training.loop import Budget, Places, Training, parts
from methods.training.photographs import Batch, Photographs, pixels_of
from methods.training.recipe import peaked
from methods.training.schedules import one_cycle


class PerceptionTraining(Training):
    """An inverter of a frozen classifier's maps, and the images that it is trained on."""

    def __init__(
        self,
        recipe: Recipe,
        classifier: Classifier,
        inverter: Inverter,
        photographs: Photographs,
        indices: tuple[list[int], list[int]],
        places: Places,
        workers: int = 0,
    ):
        super().__init__(
            Budget(recipe.epochs, recipe.batch_size, recipe.seed, one_cycle), photographs, indices, places, workers
        )
        self.recipe, self.classifier, self.inverter = recipe, classifier, inverter
        self.modules = {"inverter": inverter}
        self.optimisers = {self.stepped: torch.optim.Adam(peaked(inverter.parameters(), recipe.lr), recipe.lr)}

    @property
    def names(self) -> list[str]:
        return ["feature", "pixel", "ssim"]

    def losses(self, images: Tensor) -> Batch:
        """Of uint8 images, each (B,): the three losses, unweighted."""
        x = pixels_of(images, self.classifier)
        with torch.no_grad():
            maps = self.classifier.features(x)
        drawn = self.inverter(maps)
        again = self.classifier.features(drawn)
        return {
            "feature": (again - maps).square().mean((1, 2, 3)),
            "pixel": (drawn - x).square().mean((1, 2, 3)),
            "ssim": 1 - ssim(drawn, x),
        }

    def backward(self, part: Batch, count: int) -> tuple[Batch, Any]:
        self.inverter.train()
        losses = self.losses(part["images"])
        total = sum((getattr(self.recipe, name) * loss for name, loss in losses.items()), start=torch.zeros(()))
        (total.sum() / count).backward()
        return {name: loss.detach() for name, loss in {**losses, "total": total}.items()}, None

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The losses of the held-out images."""
        self.inverter.eval()
        found = [
            self.losses(part["images"]) for batch in self.shown_held_out() for part in parts(batch, self.progress.micro)
        ]
        return {f"val_{name}": torch.cat([losses[name] for losses in found]).mean().item() for name in self.names}
