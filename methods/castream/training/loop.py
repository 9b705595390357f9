"""The training of a stream: cross-entropy of the head that reads it; network and head stay as they are."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2

from bench.core.classifier import Classifier
from bench.core.seeds import forked_rng, seed_for
from methods.castream.architecture import StreamedNet
from methods.castream.training.recipe import SCHEDULES, Recipe
from methods.training import cache
from methods.training.cache import Cache, halved
from methods.training.loop import Budget, Places, Training, parts
from methods.training.photographs import Batch, Photographs, pixels_of


class StreamTraining(Training):
    """A stream beside a classifier's frozen net, and the images that it is trained on."""

    def __init__(
        self,
        recipe: Recipe,
        classifier: Classifier,
        net: StreamedNet,
        photographs: Photographs,
        indices: tuple[list[int], list[int]],
        places: Places,
        workers: int = 0,
    ):
        budget = Budget(recipe.epochs, recipe.batch_size, recipe.seed, SCHEDULES[recipe.schedule])
        super().__init__(budget, photographs, indices, places, workers)
        self.recipe, self.classifier, self.net = recipe, classifier, net
        net.stream.requires_grad_(True)
        self.modules = {"stream": net.stream}
        self.optimisers = {self.stepped: recipe.optimiser_of(net.stream)}
        self.averaged = copy.deepcopy(net.stream) if recipe.average else net.stream
        if recipe.average:
            self.modules["average"] = self.averaged

    @property
    def names(self) -> list[str]:
        return ["classify"]

    def prepared(self, batch: Batch) -> Batch:
        """With the labels as shares (B, C), of mixed images of both classes."""
        if "maps0" in batch:
            return batch
        x, labels = pixels_of(batch["images"], self.classifier), batch["labels"].to(self.classifier.device)
        if not self.recipe.mixes or len(x) < 2:
            return {**batch, "x": x}
        count = self.classifier.num_classes
        kinds = [(v2.MixUp, self.recipe.mixup), (v2.CutMix, self.recipe.cutmix)]
        mixers = [kind(alpha=alpha, num_classes=count) for kind, alpha in kinds if alpha]
        with forked_rng(seed_for(self.recipe.seed, "mix", self.progress.step)):
            x, shares = v2.RandomChoice(mixers)(x, labels)
        return {**batch, "x": x, "shares": shares}

    def backward(self, part: Batch, count: int) -> tuple[Batch, Any]:
        logits = self.net.classify(self.net.stream(self.features(part)))
        wanted = part["shares"] if "shares" in part else part["labels"].to(logits.device)
        loss = F.cross_entropy(logits, wanted, reduction="none", label_smoothing=self.recipe.label_smoothing)
        (loss.sum() / count).backward()
        return {"classify": loss.detach(), "total": loss.detach()}, None

    @torch.no_grad()
    def features(self, part: Batch) -> list[Tensor]:
        """Of the frozen net: as cached, or computed now."""
        if "maps0" in part:
            count = len(self.net.stages)
            return [part[f"maps{i}"].to(self.classifier.device).to(self.classifier.dtype) for i in range(count)]
        return self.net.features(normalised(part["x"], self.classifier))

    @torch.no_grad()
    def finish_step(self, batch: Batch, kept: list[Any]) -> None:
        if not self.recipe.average:
            return
        for average, own in zip(self.averaged.parameters(), self.net.stream.parameters(), strict=True):
            average.lerp_(own, 1 - self.recipe.average)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Top-1 in percent of the held-out images, with the stream and with mean pooling."""
        right: dict[str, list[Tensor]] = {"val_top1": [], "val_top1_gap": []}
        for batch in self.shown_held_out():
            whole = batch if "maps0" in batch else {**batch, "x": pixels_of(batch["images"], self.classifier)}
            for part in parts(whole, self.progress.micro):
                features, labels = self.features(part), part["labels"].to(self.classifier.device)
                pooled = {"val_top1": self.averaged(features), "val_top1_gap": features[-1].mean((2, 3))}
                for name, vector in pooled.items():
                    right[name].append(self.net.classify(vector).argmax(1) == labels)
        return {name: 100 * torch.cat(found).float().mean().item() for name, found in right.items()}


def normalised(x: Tensor, classifier: Classifier) -> Tensor:
    """[0, 1] to what the net takes."""
    shape = (1, -1, 1, 1)
    return (x - classifier.mean.to(x).reshape(shape)) / classifier.std.to(x).reshape(shape)


def cached_features(photographs: Photographs, classifier: Classifier, net: StreamedNet, root: Path) -> Cache:
    """The stages' features of the images as they are, in float16."""

    @torch.no_grad()
    def answers(images: Tensor, labels: Tensor | None) -> Batch:
        found = net.features(normalised(pixels_of(images, classifier), classifier))
        return {f"maps{i}": halved(maps) for i, maps in enumerate(found)}

    return cache.cached(
        photographs, answers, root,
        classifier.digest, net.stages, classifier.input_size, classifier.interpolation, classifier.mean.tolist(),
        classifier.std.tolist(), "stream",
    )  # fmt: skip
