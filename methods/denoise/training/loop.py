"""L = L_C + λ · (1/n) Σ_i E(δx_i, δ_G x_i), over all weights (Torres Figueroa et al. 2024, arXiv 2404.15024)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.denoise.loss import ERRORS, gradients
from methods.denoise.training.recipe import SCHEDULES, Recipe
from methods.training.loop import Budget, Places, Training, parts
from methods.training.photographs import Batch, Photographs, pixels_on
from methods.training.recipe import momentum_sgd


class DenoisedTraining(Training):
    """A network, the normalisation of its input, and the images that it is trained on."""

    def __init__(
        self,
        recipe: Recipe,
        net: nn.Module,
        statistics: tuple[Tensor, Tensor],
        photographs: Photographs,
        indices: tuple[list[int], list[int]],
        places: Places,
        workers: int = 0,
    ):
        """`statistics` are mean and standard deviation (3,) of the colours."""
        budget = Budget(recipe.epochs, recipe.batch_size, recipe.seed, SCHEDULES[recipe.schedule])
        super().__init__(budget, photographs, indices, places, workers)
        self.recipe, self.net = recipe, net
        self.device = next(net.parameters()).device
        self.mean, self.std = (values.to(self.device)[:, None, None] for values in statistics)
        self.modules = {"net": net}
        self.optimisers = {self.stepped: momentum_sgd(net.parameters(), recipe.lr, recipe.weight_decay)}

    @property
    def names(self) -> list[str]:
        return ["classify", *(["denoise"] if self.recipe.weight else [])]

    def shown(self, part: Batch) -> tuple[Tensor, Tensor]:
        """Normalised images (B, 3, S, S) and labels (B,)."""
        return (pixels_on(part["images"], self.device) - self.mean) / self.std, part["labels"].to(self.device)

    def backward(self, part: Batch, count: int) -> tuple[Batch, Any]:
        self.net.train()
        x, labels = self.shown(part)
        if not self.recipe.weight:
            losses = F.cross_entropy(self.net(x), labels, reduction="none")
            (losses.sum() / count).backward()
            return {"classify": losses.detach(), "total": losses.detach()}, None
        losses, own, wanted = gradients(self.net, x, labels)
        errors = ERRORS[self.recipe.error](own, wanted)
        total = losses + self.recipe.weight * errors
        (total.sum() / count).backward()
        return {"classify": losses.detach(), "denoise": errors.detach(), "total": total.detach()}, None

    def validate(self) -> dict[str, float]:
        """Top-1 in percent of the held-out images, and 1 - cos of their gradients."""
        self.net.eval()
        right: list[Tensor] = []
        far: list[Tensor] = []
        for batch in self.shown_held_out(self.recipe.batch_size):
            for part in parts(batch, self.progress.micro):
                x, labels = self.shown(part)
                _, own, wanted = gradients(self.net, x, labels)
                far.append(ERRORS["cosine"](own.detach(), wanted))
                with torch.no_grad():
                    right.append(self.net(x).argmax(1) == labels)
        return {"val_top1": 100 * torch.cat(right).float().mean().item(), "val_cosine": torch.cat(far).mean().item()}
