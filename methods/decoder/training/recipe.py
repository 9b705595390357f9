"""All that a training depends on besides the classifier and the images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from torch import Tensor

from bench.core.errors import UsageError
from methods._backgrounds import background
from methods.decoder.training.losses import LOSSES, Loss, View, Views
from methods.decoder.training.regularisers import REGULARISERS
from methods.decoder.training.terms import Term, parse_terms
from methods.training.recipe import BaseRecipe

Target = Literal["predicted", "true"]


@dataclass(frozen=True)
class Recipe(BaseRecipe):
    """Raises UsageError for what cannot be trained."""

    loss: str = "ce"
    """Terms, see `methods.decoder.terms`."""
    regulariser: str = ""
    background: str = "black"
    epochs: int = 10
    batch_size: int = 20
    lr: float = 1e-3
    """Highest learning rate of Adam: reached after 5 % of the steps, then down to 0 along a half cosine."""
    weight_decay: float = 0.0
    seed: int = 0
    target: Target = "predicted"
    """The class that maps are trained for."""
    augment: bool = False
    """Random crops and flips."""
    joint: bool = False
    """Train the classifier too, on the cross-entropy of the images."""
    net_lr: float = 1e-4
    """Highest learning rate of the classifier, with `joint`."""
    adversarial: float = 0.0
    """Weight of the discriminator's verdict on masked images."""
    companions: tuple[str, ...] = ()
    """`NAME@DIGEST` of the further networks that the losses ask as well; none of them may judge the maps."""
    helpers: tuple[str, ...] = ()
    """sha256 of the weights of networks that helped before: to make the maps that it imitates, or the
    checkpoint that it started from."""
    init: str = ""
    """sha256 of the checkpoint that the decoder started from."""

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise UsageError("--epochs and --batch-size must be at least 1")
        background(self.background)
        if not (self.losses or self.adversarial):
            raise UsageError("--loss is empty; a decoder needs something to be trained for, as --loss ce")
        if self.joint and self.target != "true":
            raise UsageError("--joint learns to classify from labels; add --target true")
        if len(set(self.companions)) < len(self.companions):
            raise UsageError("a companion is named twice; name each network once")
        if self.imitates and (self.augment or self.joint):
            raise UsageError(
                "stored maps need images and a classifier that stay; distil goes with neither --augment nor --joint"
            )
        assert self.regularisers is not None

    @cached_property
    def losses(self) -> tuple[Term[Loss], ...]:
        return parse_terms(self.loss, LOSSES)

    @cached_property
    def regularisers(self) -> tuple[Term[Any], ...]:
        return parse_terms(self.regulariser, REGULARISERS)

    @property
    def views(self) -> list[View]:
        """What networks are asked about, each once."""
        return list(dict.fromkeys(term.spec.value.needs for term in self.losses if not imitation(term)))

    @property
    def imitates(self) -> bool:
        """Whether stored maps are needed."""
        return any(map(imitation, self.losses))

    def losses_of(self, view: View, views: Views) -> dict[str, tuple[Tensor, float]]:
        """The losses (B,) that need a view, each with its weight, by label."""
        terms = (term for term in self.losses if term.spec.value.needs == view)
        return {term.label: (term.spec.value.function(views, **term.spec.params), term.weight) for term in terms}

    @property
    def names(self) -> list[str]:
        """Columns of the log, one per part of the objective."""
        terms = [term.label for term in (*self.losses, *self.regularisers)]
        asked = [term.label for term in self.losses if not imitation(term)]
        theirs = [f"{label} ({name.partition('@')[0]})" for name in self.companions for label in asked]
        return [*terms, *theirs, *(["classify"] if self.joint else []), *(["adversarial"] if self.adversarial else [])]


def imitation(term: Term[Loss]) -> bool:
    """Whether a loss compares with a stored map, so that no network is asked."""
    return term.spec.value.needs == "reference"
