"""The training loop that all trainings share: on a CPU the same bits however often it was interrupted."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from bench.core.errors import UsageError
from bench.core.files import write_atomic
from methods.training import progress as files
from methods.training.photographs import Batch, Photographs, Ticket, batches, collate
from methods.training.schedules import Schedule, one_cycle

CLIP = 10.0
"""Largest norm of a step's gradient, as casme's."""


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


@dataclass(frozen=True)
class Budget:
    """How long a training is, and the order of its images."""

    epochs: int
    batch_size: int
    seed: int = 0
    schedule: Schedule = one_cycle
    """Share of the highest learning rate by (step, steps of an epoch, epochs)."""


class Training(ABC):
    """A subclass says what is trained (`modules`, `optimisers`) and by what (`backward`), and how it is judged
    (`validate`). The parameter groups of the optimisers have their highest learning rate as `peak`."""

    modules: Mapping[str, nn.Module]
    """What is saved, by name."""
    optimisers: Mapping[str, torch.optim.Optimizer]
    stepped: str = "main"
    """The optimiser whose gradients `backward` adds to."""

    def __init__(
        self,
        budget: Budget,
        photographs: Photographs,
        indices: tuple[list[int], list[int]],
        places: Places,
        workers: int = 0,
    ):
        """`indices` are those of the images to train on and of those held out."""
        self.budget, self.photographs, self.places, self.workers = budget, photographs, places, workers
        self.train_indices, self.held_out = indices
        self.progress = files.Progress(micro=budget.batch_size)

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """The parts of the objective, columns of the log beside `total`."""

    @abstractmethod
    def backward(self, part: Batch, count: int) -> tuple[Batch, Any]:
        """Add the gradients of 1/count of this part's objective; its parts (B,) by name, `total` their weighted sum,
        and whatever `finish_step` wants."""

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """What the held-out images say, by column of the log."""

    def prepared(self, batch: Batch) -> Batch:
        """The batch with all that is random of this step, drawn for all of it: equal whatever part goes through at
        once."""
        return batch

    def finish_step(self, batch: Batch, kept: list[Any]) -> None:  # noqa: B027 - nothing, for most
        """After the weights were changed, with what `backward` gave of each part."""

    @property
    def steps(self) -> int:
        return self.budget.epochs * self.steps_per_epoch

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.train_indices) / self.budget.batch_size)

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
                    self.save(identity)

    def save(self, identity: dict[str, Any]) -> None:
        """Raises UsageError when the disk takes no more; the last complete checkpoint stays."""
        try:
            files.save(self.places.last, self.progress, self.modules, self.optimisers, identity)
        except OSError as error:
            raise UsageError(
                f"{self.places.out} cannot be written ({error.strerror}); make room, and the same command resumes"
            ) from error

    def remaining(self) -> Iterator[Batch]:
        """The batches from the present step on; one without a usable image is empty."""
        done, skipped = divmod(self.progress.step, self.steps_per_epoch)
        dataset, size, seed = self.photographs.dataset, self.budget.batch_size, self.budget.seed
        tickets = (
            ticket
            for epoch in range(done, self.budget.epochs)
            for ticket in batches(dataset, self.train_indices, size, seed, epoch)[skipped if epoch == done else 0 :]
        )
        return iter(self.loader(tickets))

    def loader(self, tickets: Iterable[list[Ticket]]) -> DataLoader[Batch]:
        sampler: Any = tickets  # any iterable of lists will do
        return DataLoader(self.photographs, batch_sampler=sampler, num_workers=self.workers, collate_fn=collate)  # type: ignore[arg-type]

    def shown_held_out(self, size: int = 20) -> Iterator[Batch]:
        """The held-out images as they are, in batches."""
        tickets = ([(-1, i) for i in self.held_out[at : at + size]] for at in range(0, len(self.held_out), size))
        return filter(None, self.loader(tickets))

    def take_step(self, batch: Batch) -> dict[str, float]:
        """Change the weights by one batch; the parts of the objective, means over it."""
        prepared = self.prepared(batch)
        optimiser = self.optimisers[self.stepped]
        rate = self.rate()
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * rate
        sums, kept = self.gradients(prepared)
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        if not nn.utils.clip_grad_norm_(parameters, CLIP).isfinite():
            raise UsageError(f"the gradient at step {self.progress.step} is not finite; lower --lr or a weight")
        optimiser.step()
        self.finish_step(prepared, kept)
        count = len(batch["index"])
        for name, value in {**sums, "images": float(count)}.items():
            self.progress.sums[name] = self.progress.sums.get(name, 0.0) + value
        return {name: value / count for name, value in sums.items()}

    def rate(self) -> float:
        """Share of the highest learning rate at the present step."""
        return self.budget.schedule(self.progress.step, self.steps_per_epoch, self.budget.epochs)

    def gradients(self, batch: Batch) -> tuple[dict[str, float], list[Any]]:
        """Gradients of the mean objective, its parts summed over images, and what `backward` gave of each part.

        Images go through the net in parts of `progress.micro`; out of memory halves it, for good. Raises UsageError
        when a single image is too much.
        """
        count = len(batch["index"])
        while True:
            sums, kept = dict.fromkeys(["total", *self.names], 0.0), []
            self.optimisers[self.stepped].zero_grad()
            try:
                for part in parts(batch, self.progress.micro):
                    values, more = self.backward(part, count)
                    kept.append(more)
                    for name in sums:
                        sums[name] += values[name].sum().item()
                return sums, kept
            except (torch.OutOfMemoryError, MemoryError) as error:
                if self.progress.micro == 1:
                    raise UsageError("out of memory with a single image; use a smaller net or image") from error
                self.progress.micro = max(1, min(self.progress.micro, count) // 2)
            torch.cuda.empty_cache()
            tqdm.write(f"out of memory: {self.progress.micro} images at once from here on, for the same batches")

    def finish_epoch(self, epoch: int) -> None:
        """A row of the log: means over the epoch, then what the held-out images say."""
        images = self.progress.sums.pop("images", 0.0)
        means = {name: value / images for name, value in self.progress.sums.items()} if images else {}
        self.progress.rows.append({"epoch": float(epoch), **means, **self.validate()})
        self.progress.sums = {}
        write_atomic(self.places.log, lambda path: pd.DataFrame(self.progress.rows).to_csv(path, index=False))


def parts(batch: Batch, size: int) -> Iterator[Batch]:
    count = len(next(iter(batch.values())))
    for start in range(0, count, size):
        yield {name: values[start : start + size] for name, values in batch.items()}
