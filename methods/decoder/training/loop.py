"""The training of a decoder: what its objective asks of which network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.classifier import Classifier
from bench.core.seeds import forked_rng, seed_for
from methods._backgrounds import background
from methods._companions import shown_to
from methods.decoder.architecture import Decoder, Reading, min_max
from methods.decoder.reading import read
from methods.decoder.training.adversary import Adversary
from methods.decoder.training.cache import restored
from methods.decoder.training.losses import Views, drop, gain
from methods.decoder.training.recipe import Recipe
from methods.decoder.training.views import COMPOSITIONS, Scene
from methods.training.loop import Budget, Places, Training, parts
from methods.training.photographs import Batch, Photographs, pixels_of


class DecoderTraining(Training):
    """A decoder, its classifier and the images that it is trained on."""

    stepped = "adam"

    def __init__(
        self,
        recipe: Recipe,
        classifier: Classifier,
        decoder: Decoder,
        photographs: Photographs,
        indices: tuple[list[int], list[int]],
        places: Places,
        workers: int = 0,
        companions: Sequence[Classifier] = (),
    ):
        """`indices` are those of the images to train on and of those held out; `companions` answer the losses as the
        classifier does, each in equal parts."""
        super().__init__(Budget(recipe.epochs, recipe.batch_size, recipe.seed), photographs, indices, places, workers)
        self.recipe, self.classifier, self.decoder = recipe, classifier, decoder.to(classifier.device)
        self.companions = tuple(companions)
        self.background = background(recipe.background)
        groups: list[dict[str, Any]] = [{"params": list(decoder.parameters()), "peak": recipe.lr}]
        self.modules: dict[str, nn.Module] = {"decoder": decoder}
        if recipe.joint:
            net = classifier.net.requires_grad_(True)
            groups.append({"params": list(net.parameters()), "peak": recipe.net_lr})
            self.modules["net"] = net
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "adam": torch.optim.Adam(groups, recipe.lr, weight_decay=recipe.weight_decay)
        }
        self.adversary: Adversary | None = None
        if recipe.adversarial:
            with forked_rng(seed_for(recipe.seed, "adversary")):
                self.adversary = Adversary(classifier.device)
            self.modules["discriminator"] = self.adversary.net
            self.optimisers["critic"] = self.adversary.optimiser

    @property
    def names(self) -> list[str]:
        return self.recipe.names

    def finish_step(self, batch: Batch, kept: list[Any]) -> None:
        if self.adversary:
            self.adversary.learn(batch["x"], COMPOSITIONS["masked"](self.scene(batch, torch.cat(kept))))

    def prepared(self, batch: Batch) -> Batch:
        generator = torch.Generator().manual_seed(seed_for(self.recipe.seed, "step", self.progress.step))
        x = pixels_of(batch["images"], self.classifier)
        strata = torch.randperm(len(x), generator=generator) + torch.rand(len(x), generator=generator)
        share = (strata / len(x)).to(x)
        b = self.background(x, self.classifier.mean, generator)
        return {**batch, "x": x, "background": b, "share": share}

    def backward(self, part: Batch, count: int) -> tuple[dict[str, Tensor], Tensor]:
        """Add the gradients of 1/count of this part's objective; its parts (B,) by name, `total` their weighted sum,
        and the maps (B, S, S) without graph.

        The map is cut from its graph while one view after the other adds to its gradient, which the decoder gets in the
        end: no two views are held in memory at once.
        """
        recipe = self.recipe
        reading = self.reading(part, graph=recipe.joint)
        drawn = self.decoder.mask(self.decoder(reading))
        mask = drawn.detach().requires_grad_()
        values: dict[str, Tensor] = {"total": torch.zeros(len(mask), device=mask.device)}

        def add(found: Mapping[str, tuple[Tensor, float]], mark: str = "", share: float = 1.0) -> None:
            """Values by label with their weights; `mark` ends the labels, `share` lessens the weights."""
            weighted = torch.stack([share * weight * value for value, weight in found.values()]).sum(0)
            if weighted.requires_grad:
                (weighted.sum() / count).backward()
            values.update((label + mark, value.detach()) for label, (value, _) in found.items())
            values["total"] += weighted.detach()

        for net, mark in self.asked():
            clean = reading.logits.detach() if net is self.classifier else self.answers(net, part["x"]).detach()
            for view in recipe.views:
                seen = self.answers(net, COMPOSITIONS[view](self.scene(part, mask)))
                views = Views(clean, reading.targets, mask, **{view: seen})
                add(recipe.losses_of(view, views), mark, self.share)
        if recipe.imitates:
            views = Views(reading.logits.detach(), reading.targets, mask, reference=part["reference"].to(mask))
            add(recipe.losses_of("reference", views))
        for term in recipe.regularisers:
            add({term.label: (term.spec.value(mask, **term.spec.params), term.weight)})
        if self.adversary:
            verdict = self.adversary.verdict(COMPOSITIONS["masked"](self.scene(part, mask)))
            add({"adversarial": (verdict, recipe.adversarial)})
        ends, gradients = [drawn], [mask.grad]
        if recipe.joint:
            values["classify"] = F.cross_entropy(reading.logits, reading.targets, reduction="none")
            values["total"] = values["total"] + values["classify"].detach()
            ends, gradients = [drawn, values["classify"]], [mask.grad, torch.full_like(values["classify"], 1 / count)]
        torch.autograd.backward(ends, gradients)
        return values, mask.detach()

    def scene(self, part: Batch, mask: Tensor) -> Scene:
        return Scene(part["x"], mask, part["background"], part["share"], self.classifier.mean)

    def asked(self) -> list[tuple[Classifier, str]]:
        """The networks that answer the losses, with what marks their columns of the log."""
        return [(self.classifier, ""), *((net, f" ({net.name})") for net in self.companions)]

    @property
    def share(self) -> float:
        """Of each network that is asked in an objective."""
        return 1 / (1 + len(self.companions))

    def answers(self, net: Classifier, images: Tensor) -> Tensor:
        """Logits (B, C) of images; of a frozen net with its normalisations folded, on a GPU in bfloat16."""
        trained = self.recipe.joint and net is self.classifier
        with torch.autocast(net.device.type, torch.bfloat16, enabled=net.device.type == "cuda"):
            return (net.logits if trained else net.score)(shown_to(net, images)).float()

    def reading(self, part: Batch, graph: bool = False) -> Reading:
        """What the classifier says of the images: as cached, or asked for now."""
        config = self.decoder.config
        if "logits" in part:
            return restored(part, config, self.classifier)
        targets = part["labels"].to(self.classifier.device) if self.recipe.target == "true" else None
        return read(self.classifier, config, part["x"], targets, graph=graph)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """AD, AG, AI (in %) and area of the min-maxed maps of the held-out images, on black, as protocol `clean`."""
        found: list[Tensor] = []
        for batch in self.shown_held_out():
            for part in parts({**batch, "x": pixels_of(batch["images"], self.classifier)}, self.progress.micro):
                reading = self.reading(part)
                mask = min_max(self.decoder(reading))
                masked = self.classifier.logits(part["x"] * mask[:, None])
                views = Views(reading.logits.double(), reading.targets, mask, masked=masked.double())
                found.append(torch.stack([drop(views), -gain(views), (gain(views) < 0).double(), mask.mean((1, 2))]))
        AD, AG, AI, area = torch.cat(found, 1).mean(1).tolist()
        return {"val_AD": 100 * AD, "val_AG": 100 * AG, "val_AI": 100 * AI, "val_area": area}
