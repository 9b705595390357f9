"""The training itself: step by step, on a CPU to the same bits however often it was interrupted."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from bench.core.files import write_atomic
from bench.core.seeds import forked_rng, seed_for
from methods._backgrounds import background
from methods._companions import shown_to
from methods.decoder.architecture import Decoder, Reading, min_max
from methods.decoder.reading import read
from methods.decoder.training.adversary import Adversary
from methods.decoder.training.cache import restored
from methods.decoder.training.losses import Views, drop, gain
from methods.decoder.training.photographs import Batch, Photographs, Ticket, batches, collate, pixels_of
from methods.decoder.training.recipe import Recipe
from methods.decoder.training.views import COMPOSITIONS, Scene
from methods.training import progress as files

CLIP = 10.0
"""Largest norm of a step's gradient, as casme's."""
WARM_UP = 0.05
"""Share of the steps over which the learning rate rises."""


@dataclass(frozen=True)
class Places:
    """Where a training stands on the disk."""

    out: Path
    save_every: int = 50
    """Steps between two checkpoints."""

    @property
    def last(self) -> Path:
        return self.out / "last.safetensors"

    @property
    def log(self) -> Path:
        return self.out / "log.csv"


class Training:
    """A decoder, its classifier and the images that it is trained on."""

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
        self.recipe, self.classifier, self.decoder = recipe, classifier, decoder.to(classifier.device)
        self.photographs, self.places, self.workers = photographs, places, workers
        self.companions = tuple(companions)
        self.train_indices, self.held_out = indices
        self.background = background(recipe.background)
        groups: list[dict[str, Any]] = [{"params": list(decoder.parameters()), "peak": recipe.lr}]
        self.modules: dict[str, nn.Module] = {"decoder": decoder}
        if recipe.joint:
            net = classifier._net.requires_grad_(True)
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
        self.progress = files.Progress(micro=recipe.batch_size)

    @property
    def steps(self) -> int:
        return self.recipe.epochs * self.steps_per_epoch

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.train_indices) / self.recipe.batch_size)

    def run(self, identity: dict[str, Any]) -> None:
        """Train to the end, from where a former run of the same command stopped. Raises UsageError."""
        self.progress = files.resume(self.places.last, self.modules, self.optimisers, identity) or self.progress
        bar = tqdm(total=self.steps, initial=self.progress.step, desc="training", unit="step", dynamic_ncols=True)
        began = time.monotonic() - self.progress.seconds
        with bar:
            for batch in self.remaining():
                if batch:
                    bar.set_postfix(objective=f"{self.take_step(batch)['total']:.3g}")
                self.progress.step += 1
                bar.update()
                epoch, rest = divmod(self.progress.step, self.steps_per_epoch)
                if rest == 0:
                    self.finish_epoch(epoch)
                if rest == 0 or self.progress.step % self.places.save_every == 0:
                    self.progress.seconds = time.monotonic() - began
                    files.save(self.places.last, self.progress, self.modules, self.optimisers, identity)

    def remaining(self) -> Iterator[Batch]:
        """The batches from the present step on; one without a usable image is empty."""
        done, skipped = divmod(self.progress.step, self.steps_per_epoch)
        dataset, size, seed = self.photographs.dataset, self.recipe.batch_size, self.recipe.seed
        tickets = (
            ticket
            for epoch in range(done, self.recipe.epochs)
            for ticket in batches(dataset, self.train_indices, size, seed, epoch)[skipped if epoch == done else 0 :]
        )
        return iter(self.loader(tickets))

    def loader(self, tickets: Iterable[list[Ticket]]) -> DataLoader[Batch]:
        sampler: Any = tickets  # any iterable of lists will do
        return DataLoader(self.photographs, batch_sampler=sampler, num_workers=self.workers, collate_fn=collate)  # type: ignore[arg-type]

    def take_step(self, batch: Batch) -> dict[str, float]:
        """Change the weights by one batch; the parts of the objective, means over it."""
        prepared = self.prepared(batch)
        rate = self.rate()
        for group in self.optimisers["adam"].param_groups:
            group["lr"] = group["peak"] * rate
        sums, masks = self.gradients(prepared)
        parameters = [p for group in self.optimisers["adam"].param_groups for p in group["params"]]
        if not nn.utils.clip_grad_norm_(parameters, CLIP).isfinite():
            raise UsageError(f"the gradient at step {self.progress.step} is not finite; lower --lr or a weight")
        self.optimisers["adam"].step()
        if self.adversary:
            self.adversary.learn(prepared["x"], COMPOSITIONS["masked"](self.scene(prepared, masks)))
        count = len(prepared["x"])
        for name, value in {**sums, "images": float(count)}.items():
            self.progress.sums[name] = self.progress.sums.get(name, 0.0) + value
        return {name: value / count for name, value in sums.items()}

    def rate(self) -> float:
        """Share of the highest learning rate at the present step: up a line, down a half cosine."""
        warm = max(1, round(WARM_UP * self.steps))
        if self.progress.step < warm:
            return (self.progress.step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (self.progress.step - warm) / max(1, self.steps - warm)))

    def prepared(self, batch: Batch) -> Batch:
        """With all that is random of this step, drawn for the whole batch: equal whatever part goes through at once."""
        generator = torch.Generator().manual_seed(seed_for(self.recipe.seed, "step", self.progress.step))
        x = pixels_of(batch["images"], self.classifier)
        strata = torch.randperm(len(x), generator=generator) + torch.rand(len(x), generator=generator)
        share = (strata / len(x)).to(x)
        b = self.background(x, self.classifier.mean, generator)
        return {**batch, "x": x, "background": b, "share": share}

    def gradients(self, batch: Batch) -> tuple[dict[str, float], Tensor]:
        """Gradients of the mean objective, its parts summed over images, and the maps without graph.

        Images go through the net in parts of `progress.micro`; out of memory halves it, for good. Raises UsageError
        when a single image is too much.
        """
        count = len(batch["x"])
        while True:
            sums, masks = dict.fromkeys(["total", *self.recipe.names], 0.0), []
            self.optimisers["adam"].zero_grad()
            try:
                for part in parts(batch, self.progress.micro):
                    values, mask = self.backward(part, count)
                    masks.append(mask)
                    for name in sums:
                        sums[name] += values[name].sum().item()
                return sums, torch.cat(masks)
            except (torch.OutOfMemoryError, MemoryError) as error:
                if self.progress.micro == 1:
                    raise UsageError("out of memory with a single image; use a smaller --width or net") from error
                self.progress.micro = max(1, min(self.progress.micro, count) // 2)
            torch.cuda.empty_cache()
            tqdm.write(f"out of memory: {self.progress.micro} images at once from here on, for the same batches")

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

    def finish_epoch(self, epoch: int) -> None:
        """A row of the log: means over the epoch, then what the held-out images say."""
        images = self.progress.sums.pop("images", 0.0)
        means = {name: value / images for name, value in self.progress.sums.items()} if images else {}
        self.progress.rows.append({"epoch": float(epoch), **means, **self.validate()})
        self.progress.sums = {}
        write_atomic(self.places.log, lambda path: pd.DataFrame(self.progress.rows).to_csv(path, index=False))

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """AD, AG, AI (in %) and area of the min-maxed maps of the held-out images, on black, as protocol `clean`."""
        tickets = ([(-1, i) for i in self.held_out[start : start + 20]] for start in range(0, len(self.held_out), 20))
        found: list[Tensor] = []
        for batch in filter(None, self.loader(tickets)):
            for part in parts({**batch, "x": pixels_of(batch["images"], self.classifier)}, self.progress.micro):
                reading = self.reading(part)
                mask = min_max(self.decoder(reading))
                masked = self.classifier.logits(part["x"] * mask[:, None])
                views = Views(reading.logits.double(), reading.targets, mask, masked=masked.double())
                found.append(torch.stack([drop(views), -gain(views), (gain(views) < 0).double(), mask.mean((1, 2))]))
        AD, AG, AI, area = torch.cat(found, 1).mean(1).tolist()
        return {"val_AD": 100 * AD, "val_AG": 100 * AG, "val_AI": 100 * AI, "val_area": area}


def parts(batch: Batch, size: int) -> Iterator[Batch]:
    count = len(next(iter(batch.values())))
    for start in range(0, count, size):
        yield {name: values[start : start + size] for name, values in batch.items()}
