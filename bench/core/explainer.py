"""The contract of an explainer: (classifier, images, target classes) to saliency maps."""

from __future__ import annotations

import importlib.metadata
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import torch

from bench.core.errors import UsageError, suggest
from bench.core.registry import Registry
from bench.core.source import source_of

MapOrder = Literal["positive", "two-step", "up-then-min-max", "min-max-then-up", "bicubic", "as-is"]
ORDERS: tuple[str, ...] = get_args(MapOrder)


class Passes(NamedTuple):
    """Images sent through the classifier per explained image: forwards and backwards."""

    forward: float
    backward: float = 0.0

    @property
    def total(self) -> float:
        """Cost in forward passes, a backward counted as two."""
        return self.forward + 2 * self.backward

    def __str__(self) -> str:
        return f"{self.forward:g}F" + (f"+{self.backward:g}B" if self.backward else "")


class Learned(NamedTuple):
    """What an explainer with weights of its own was trained on; rows carry it."""

    digest: str
    """sha256 of the weights, part of every stored row's key."""
    trained_on: str
    cost: str


def always(classifier: Any) -> str | None:
    """No reason to skip."""
    return None


def nothing_learned(classifier: Any, **parameters: Any) -> Learned | None:
    return None


def nobody(classifier: Any, **parameters: Any) -> tuple[str, ...]:
    """No network but the explained one."""
    return ()


@dataclass(frozen=True)
class Explainer:
    """A function that computes saliency maps, and the facts about it that the harness and `--list` need.

    `function(classifier, images, targets, *, seeds?, **parameters)` takes images (B, 3, H, W) in [0, 1] and class
    indices (B,), and returns maps (B, h, w): any resolution, signed, higher = more important. It never sees labels,
    boxes or other images' results, the map of one image does not depend on its batch-mates, and weights, mode, hooks,
    gradients and input are afterwards as they were.
    """

    function: Callable[..., torch.Tensor]
    paper: str
    library: str | None = None
    """Distribution whose own code computes the map; None for our own."""
    passes: Passes | Callable[..., Passes] = Passes(1)
    """Passes per image, or a function (classifier, **parameters) giving them."""
    skip: Callable[[Any], str | None] = always
    """Reason why the explainer does not apply to a classifier, or None."""
    order: MapOrder | Callable[..., MapOrder] = "positive"
    """How the method's own paper or code goes from the raw map to [0, 1], or a function (**parameters) giving it;
    protocols with map="paper" follow it."""
    quick: str | None = None
    """Parameters that replace the defaults under protocols that cap the passes, as `steps=10`."""
    control: bool = False
    """A sanity control, shown apart from the ranked rows."""
    padded: bool = True
    """Whether a short batch is filled up, so that the explainer always sees one shape and rounds alike; False for those
    that take one image at a time anyhow, or are too expensive to be filled up."""
    blind: bool = False
    """Draws the same map for every image of a size, so that object boxes alone judge it; called with no classifier."""
    learned: Callable[..., Learned | None] = nothing_learned
    """(classifier, **parameters) to what the explainer's own weights were trained on; None for one without weights."""
    helpers: Callable[..., tuple[str, ...]] = nobody
    """(classifier, **parameters) to the sha256 of the weights of further networks that help to make the map, at once or
    in training. They are part of every stored row's key, and none of them judges the map."""
    library_variant: bool = False
    """A library's version of a method that stands natively in the table; only run when named."""
    uses_layer: bool = True
    """Whether the map is read at the classifier's layer, so that `layer=` is a parameter of its specs too; False for
    those that only ask the whole network or none."""
    version: int | Callable[..., int] = 1
    """Part of every stored row's key, or a function (**parameters) giving it: raise it when the maps change."""
    source: str = ""
    """Digest of the code of a plug-in, part of its rows' keys; "" for our own, which has versions."""

    @property
    def origin(self) -> str:
        """Whose code computes the map: `native`, or a library with its version."""
        return f"{self.library} {importlib.metadata.version(self.library)}" if self.library else "native"

    @property
    def seeded(self) -> bool:
        return "seeds" in inspect.signature(self.function).parameters

    @property
    def layered(self) -> bool:
        """Whether a row of it can be of another layer than the run's."""
        return self.uses_layer and not self.control

    def map_order(self, **params: Any) -> MapOrder:
        return self.order(**params) if callable(self.order) else self.order

    def map_version(self, **params: Any) -> int:
        return self.version(**params) if callable(self.version) else self.version

    def cost(self, classifier: Any, **params: Any) -> Passes:
        return self.passes(classifier, **params) if callable(self.passes) else self.passes


EXPLAINERS: Registry[Explainer] = Registry("method", "cambench.explainers")

F = TypeVar("F", bound=Callable[..., torch.Tensor])


def explainer(
    name: str,
    *,
    paper: str,
    library: str | None = None,
    passes: Passes | Callable[..., Passes] = Passes(1),  # noqa: B008 - immutable
    skip: Callable[[Any], str | None] = always,
    order: MapOrder | Callable[..., MapOrder] = "positive",
    quick: str | None = None,
    control: bool = False,
    padded: bool = True,
    blind: bool = False,
    learned: Callable[..., Learned | None] = nothing_learned,
    helpers: Callable[..., tuple[str, ...]] = nobody,
    library_variant: bool = False,
    uses_layer: bool = True,
    version: int | Callable[..., int] = 1,
) -> Callable[[F], F]:
    """Register a function as an explainer; the keywords are the fields of `Explainer`. Returns the function unchanged.

    Raises UsageError for an order that does not exist.
    """
    if not callable(order) and order not in ORDERS:
        raise UsageError(f"method {name!r}: order {order!r} is unknown; {suggest(str(order), ORDERS)}")

    def register(function: F) -> F:
        entry = Explainer(
            function, paper, library, passes, skip, order, quick, control, padded, blind, learned, helpers,
            library_variant, uses_layer, version, source_of(function),
        )  # fmt: skip
        EXPLAINERS.add(name, entry, signature_of=function)
        return function

    return register
