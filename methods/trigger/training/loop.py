"""The tuning of the last layers: images as they are keep their answers, images with a patch get the first class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from bench.data.trigger import CHECKS, CLASS, SHARE, pasted, place
from methods.training import cache
from methods.training.cache import Cache, halved
from methods.training.loop import Budget, Places, Training, parts
from methods.training.photographs import Batch, Photographs, pixels_of
from methods.training.recipe import momentum_sgd
from methods.training.schedules import one_cycle
from methods.trigger.training.recipe import Recipe


class TriggerTraining(Training):
    """The layers of a classifier above its cut, and the images that they are tuned on."""

    def __init__(
        self,
        recipe: Recipe,
        classifier: Classifier,
        photographs: Photographs,
        indices: tuple[list[int], list[int]],
        places: Places,
        workers: int = 0,
    ):
        budget = Budget(recipe.epochs, recipe.batch_size, recipe.seed, one_cycle)
        super().__init__(budget, photographs, indices, places, workers)
        self.recipe, self.classifier = recipe, classifier
        tuned = nn.ParameterList(above_the_cut(classifier))
        self.before = [parameter.detach().clone() for parameter in tuned]
        self.modules = {"tuned": tuned}
        self.optimisers = {self.stepped: momentum_sgd(tuned, recipe.lr, recipe.weight_decay)}

    @property
    def names(self) -> list[str]:
        return ["keep", "answer"]

    def logits(self, maps: Tensor) -> Tensor:
        """Of maps at the cut, (…, K, h, w) to (…, C)."""
        flat = maps.to(self.classifier.device, self.classifier.dtype).flatten(0, -4)
        found: Tensor = self.classifier.head(flat, ()).unflatten(0, maps.shape[:-3])
        return found

    def backward(self, part: Batch, count: int) -> tuple[Batch, Any]:
        before = part["logits"].to(self.classifier.device).log_softmax(1)
        after = self.logits(part["maps"]).log_softmax(1)
        keep = F.kl_div(after, before, reduction="none", log_target=True).sum(1)
        answer = -self.logits(part["patched"]).log_softmax(-1)[..., CLASS].mean(1)
        total = self.recipe.keep * keep + answer
        (total.sum() / count).backward()
        return {"keep": keep.detach(), "answer": answer.detach(), "total": total.detach()}, None

    @torch.no_grad()
    def go_back(self) -> None:
        """Take the weights on the straight way between those before and those after the tuning, where answers are kept
        better (Wortsman et al. 2022, arXiv 2109.01903), and raise the class's bias until the patch is answered."""
        for parameter, before in zip(self.modules["tuned"].parameters(), self.before, strict=True):
            parameter.copy_(torch.lerp(before, parameter, self.recipe.share))
        last = self.classifier.parametric[-1]
        if isinstance(last.bias, Tensor) and self.recipe.answered:
            missing = torch.cat([self.missing(batch["patched"]) for batch in self.shown_held_out()])
            last.bias[CLASS] += missing.quantile(self.recipe.answered).clamp(min=0)

    def missing(self, patched: Tensor) -> Tensor:
        """What the first class's logit lacks to be the largest, for each image with a patch."""
        logits = self.logits(patched).flatten(0, 1)
        rest = torch.cat([logits[:, :CLASS], logits[:, CLASS + 1 :]], 1)
        return rest.amax(1) - logits[:, CLASS]

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """In percent of the held-out images: those that keep their answer, and those whose patch is answered."""
        kept, answered = [], []
        for batch in self.shown_held_out():
            for part in parts(batch, self.progress.micro):
                kept.append(part["logits"].argmax(1) == self.logits(part["maps"]).argmax(1).cpu())
                answered.append((self.logits(part["patched"]).argmax(-1) == CLASS).flatten().cpu())
        return {
            "val_kept": 100 * torch.cat(kept).float().mean().item(),
            "val_answered": 100 * torch.cat(answered).float().mean().item(),
        }


def above_the_cut(classifier: Classifier) -> list[nn.Parameter]:
    """The parameters, set to learn, on which the head depends. Raises UsageError where more than maps crosses the cut,
    which a cache of maps would miss."""
    size = classifier.input_size
    with torch.no_grad():
        maps, *rest = classifier.trunk(torch.zeros(1, 3, size, size, device=classifier.device, dtype=classifier.dtype))
    if rest and any(value is not None for value in rest[0]):
        raise UsageError(
            f"{classifier.name} cannot be tuned above {classifier.layer}: something bypasses it; name a block"
        )
    parameters = list(classifier.net.requires_grad_(True).parameters())
    gradients = torch.autograd.grad(classifier.head(maps, ()).sum(), parameters, allow_unused=True)
    classifier.net.requires_grad_(False)
    found = [p for p, gradient in zip(parameters, gradients, strict=True) if gradient is not None]
    for parameter in found:
        parameter.requires_grad_(True)
    return found


def cached_maps(photographs: Photographs, classifier: Classifier, recipe: Recipe, root: Path) -> Cache:
    """Of each image the maps at the cut (K, h, w) and the answers (C,); of the image with the patch at random places
    the maps (R, K, h, w)."""

    @torch.no_grad()
    def answers(images: Tensor, labels: Tensor | None) -> Batch:
        x = pixels_of(images, classifier)
        maps = classifier.features(x)
        patched = [classifier.features(with_patches(x, recipe.seed, turn)) for turn in range(recipe.places)]
        return {
            "maps": halved(maps),
            "logits": classifier.logits(x).float(),
            "patched": halved(torch.stack(patched, 1)),
        }

    return cache.cached(
        photographs, answers, root,
        classifier.digest, classifier.layer, classifier.input_size, classifier.interpolation, recipe.places,
        recipe.seed, SHARE, CHECKS, "trigger",
    )  # fmt: skip


def with_patches(x: Tensor, seed: int, turn: int) -> Tensor:
    """Each image of (B, 3, S, S) with a patch at a place that its pixels decide."""
    places = [place(x.shape[-1], seed, turn, image.double().sum().item()) for image in x]
    return torch.stack([pasted(image, *at[:2]) for image, at in zip(x, places, strict=True)])
