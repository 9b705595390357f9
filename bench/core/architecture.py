"""What is known of a network before it is loaded, and the registry of networks by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from bench.core.output_name import OutputName
from bench.core.registry import Registry


@dataclass(frozen=True)
class Architecture:
    """A function that builds a net, and the facts about the net that its weights alone do not tell."""

    build: Callable[[], nn.Module]
    layer: str | None = None
    """Target layer, as `features[-1]`; None takes the last module with a 4-D output."""
    input_size: int = 224
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    interpolation: str = "bilinear"
    crop_pct: float | None = None
    """Share of the resized image's short side that the net's own recipe crops; None where it says none."""
    classes: tuple[str, ...] = ()
    """Class names by index; empty for "0", "1", …"""
    fetch: Callable[[nn.Module], str] | None = None
    """Loads pretrained weights into the built net and returns their origin; None where `build` gives them."""
    origin: str = ""
    """Where the weights that `build` gives come from."""
    output: OutputName | None = None
    """What the net's numbers mean; None for logits that are checked to look like them."""
    prefix_tokens: int | None = None
    """Tokens of a transformer before its patches; None where the net says so itself, or has none."""
    source: str = ""
    """Digest of the user's code that builds the net, part of its rows' keys; "" for libraries' nets."""


CLASSIFIERS: Registry[Callable[[], Architecture]] = Registry("model", "cambench.classifiers")
"""Thunks, since the facts of a library's net cost a look into the library."""

F = TypeVar("F", bound=Callable[[], nn.Module])


def classifier(
    name: str,
    *,
    layer: str | None = None,
    input_size: int = 224,
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0),
    std: tuple[float, float, float] = (1.0, 1.0, 1.0),
    interpolation: str = "bilinear",
    crop_pct: float | None = None,
    classes: tuple[str, ...] = (),
    output: OutputName | None = None,
    prefix_tokens: int | None = None,
) -> Callable[[F], F]:
    """Register a function that returns a net with its weights; the keywords are fields of `Architecture`.

    >>> @classifier("my-net", layer="features.3", input_size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    ... def my_net():
    ...     return MyNet()
    """

    def register(build: F) -> F:
        architecture = Architecture(
            build, layer, input_size, mean, std, interpolation, crop_pct, classes, origin=f"registered:{name}",
            output=output, prefix_tokens=prefix_tokens,
        )  # fmt: skip
        CLASSIFIERS.add(name, lambda: architecture, signature_of=build)
        return build

    return register


@dataclass(frozen=True)
class Family:
    """Networks that are too many to be listed, as `timm:NAME`."""

    pattern: str
    """Regular expression of the whole text that names one."""
    architecture: Callable[[str], Architecture]
    """From that text. Raises UsageError."""
    training: str = ""
    """The command that makes its weights, where nobody publishes them."""


FAMILIES: Registry[Family] = Registry("family of networks")

A = TypeVar("A", bound=Callable[[str], Architecture])


def family(name: str, pattern: str, training: str = "") -> Callable[[A], A]:
    """Register a function from a text that matches `pattern` to an Architecture, under the name that lists show, with
    the command that trains such a network where one does."""

    def register(architecture: A) -> A:
        FAMILIES.add(name, Family(pattern, architecture, training))
        return architecture

    return register
