"""The training of a walled network: cross-entropy, of all weights or of those above a frozen trunk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.classifier import Classifier
from bench.core.seeds import forked_rng, seed_for
from methods.training import cache
from methods.training.cache import Cache, halved
from methods.training.loop import Budget, Places, Training, parts
from methods.training.photographs import Batch, Photographs, pixels_of
from methods.training.recipe import momentum_sgd
from methods.training.schedules import thirds
from methods.walls.architecture import TRUNK, WalledVGG
from methods.walls.training.recipe import Recipe


class WalledTraining(Training):
    """A walled network as a classifier, and the images that it is trained on."""

    def __init__(
        self,
        recipe: Recipe,
        classifier: Classifier,
        frozen: bool,
        photographs: Photographs,
        indices: tuple[list[int], list[int]],
        places: Places,
        workers: int = 0,
    ):
        """`frozen` keeps the trunk as it is."""
        super().__init__(
            Budget(recipe.epochs, recipe.batch_size, recipe.seed, thirds), photographs, indices, places, workers
        )
        net = classifier.net
        assert isinstance(net, WalledVGG)
        self.recipe, self.classifier, self.net, self.frozen = recipe, classifier, net, frozen
        top = nn.ModuleDict({"last": net.features[TRUNK:], "classifier": net.classifier})
        trained: nn.Module = top if frozen else net
        trained.requires_grad_(True)
        self.modules = {"net": trained}
        self.optimisers = {self.stepped: momentum_sgd(trained.parameters(), recipe.lr, recipe.weight_decay)}

    @property
    def names(self) -> list[str]:
        return ["classify"]

    def maps(self, part: Batch) -> Tensor:
        """What the last convolution reads (B, 512, 14, 14): as cached, or computed now."""
        if "maps" in part:
            return part["maps"].to(self.classifier.device).to(self.classifier.dtype)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.net.trunk(normalised(part["images"], self.classifier))

    def backward(self, part: Batch, count: int) -> tuple[Batch, Any]:
        self.net.train()
        with forked_rng(seed_for(self.recipe.seed, "dropout", self.progress.step, part["index"].tolist())):
            logits = self.net.top(self.maps(part))
        losses = F.cross_entropy(logits, part["labels"].to(logits.device), reduction="none")
        (losses.sum() / count).backward()
        return {"classify": losses.detach(), "total": losses.detach()}, None

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Top-1 in percent of the held-out images."""
        self.net.eval()
        right = [
            self.net.top(self.maps(part)).argmax(1) == part["labels"].to(self.classifier.device)
            for batch in self.shown_held_out()
            for part in parts(batch, self.progress.micro)
        ]
        return {"val_top1": 100 * torch.cat(right).float().mean().item()}


def normalised(images: Tensor, classifier: Classifier) -> Tensor:
    """uint8 images to what the net takes."""
    mean, std = (values.to(classifier.device)[:, None, None] for values in (classifier.mean, classifier.std))
    return (pixels_of(images, classifier) - mean) / std


def cached_maps(photographs: Photographs, classifier: Classifier, net: WalledVGG, trunk: str, root: Path) -> Cache:
    """What the frozen trunk makes of the images as they are, in float16; `trunk` identifies its weights."""

    @torch.no_grad()
    def answers(images: Tensor, labels: Tensor | None) -> Batch:
        return {"maps": halved(net.trunk(normalised(images, classifier)))}

    return cache.cached(photographs, answers, root, "walls", trunk, classifier.input_size, classifier.interpolation)
