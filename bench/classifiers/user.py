"""The user's own net: `FILE.py:NAME`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from bench.core.classifier import Architecture
from bench.core.errors import UsageError
from bench.core.registry import load_file, suggest

FACTS: dict[str, type | tuple[type, ...]] = {
    "layer": str,
    "input_size": int,
    "mean": Sequence,
    "std": Sequence,
    "interpolation": str,
    "classes": Sequence,
}


def user_architecture(file: Path, name: str) -> Architecture:
    """A net from a file: NAME is a `nn.Module` or a function without arguments that returns one, weights loaded.

    Facts are read from attributes of NAME, then of the net: `layer`, `input_size` (224), `mean` and `std` (0 and 1: the
    net takes images in [0, 1]), `interpolation`, `classes`. Raises UsageError.
    """
    source = load_file(file)
    if not hasattr(source, name):
        public = [key for key, value in vars(source).items() if callable(value) and not key.startswith("_")]
        raise UsageError(f"{file} has no {name!r}; {suggest(name, public)}")
    maker = getattr(source, name)
    net = maker if isinstance(maker, nn.Module) else _call(maker, f"{file}:{name}")
    return Architecture(lambda: net, origin=f"{file.name}:{name}", **{**_facts(net), **_facts(maker)})


def _call(maker: Any, text: str) -> nn.Module:
    if not callable(maker):
        raise UsageError(f"{text} is a {type(maker).__name__}; it must be a net or a function that returns one")
    try:
        net = maker()
    except Exception as error:
        raise UsageError(f"{text}() failed: {type(error).__name__}: {error}") from error
    if not isinstance(net, nn.Module):
        raise UsageError(f"{text}() returned a {type(net).__name__}, not a torch.nn.Module")
    return net


def _facts(holder: Any) -> dict[str, Any]:
    """What the holder states; a submodule that happens to bear a fact's name is none."""
    found: dict[str, Any] = {key: getattr(holder, key, None) for key in FACTS}
    return {
        key: tuple(found[key]) if kind is Sequence else found[key]
        for key, kind in FACTS.items()
        if isinstance(found[key], kind) and not isinstance(found[key], nn.Module)
    }
