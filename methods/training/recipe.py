"""What the recipes of all trainings share."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable
from typing import Any, Self

import torch
from torch import nn


@dataclasses.dataclass(frozen=True)
class BaseRecipe:
    """The subclass's fields are all that a training depends on besides network and images."""

    @classmethod
    def of(cls, args: argparse.Namespace) -> Self:
        """From a command line that has a flag for every field."""
        return cls(**{field.name: getattr(args, field.name) for field in dataclasses.fields(cls)})

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def peaked(parameters: Iterable[nn.Parameter], lr: float) -> list[dict[str, Any]]:
    """The parameters as one group whose highest learning rate is `lr`, as the loop's schedules want it."""
    return [{"params": list(parameters), "peak": lr}]


def momentum_sgd(parameters: Iterable[nn.Parameter], lr: float, weight_decay: float) -> torch.optim.Optimizer:
    """SGD with momentum 0.9."""
    return torch.optim.SGD(peaked(parameters, lr), lr, momentum=0.9, weight_decay=weight_decay)
