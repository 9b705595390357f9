"""The user's own net: `FILE.py:NAME`."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from torch import nn

from bench.classifiers.facts import stated_by
from bench.core.architecture import Architecture, family
from bench.core.errors import FOREIGN_ERRORS, UsageError, foreign, reason, suggest
from bench.core.paths import user_path
from bench.core.source import source_digest
from bench.core.user_code import load_file


@family("FILE.py:NAME", r".*\.py(:.*)?")
def named_in_file(text: str) -> Architecture:
    """The net of a text `FILE.py:NAME`. Raises UsageError."""
    file, colon, name = text.rpartition(":")
    if not (colon and file.endswith(".py")):
        raise UsageError(f"--model {text} names a file; say which of its nets, as {text}:NAME")
    return user_architecture(Path(file), name)


def user_architecture(file: Path, name: str) -> Architecture:
    """A net from a file: NAME is a `nn.Module` or a function without arguments that returns one, weights loaded.

    Facts are read from attributes of NAME, then of the net (`bench.classifiers.facts`): `layer`, `input_size` (224),
    `mean` and `std` (0 and 1: the net takes images in [0, 1]), `interpolation`, `classes`, `output`, `prefix_tokens`.
    Raises UsageError.
    """
    file, text = user_path(file), f"{file}:{name}"
    source = load_file(file)
    if not hasattr(source, name):
        public = [key for key, value in vars(source).items() if callable(value) and not key.startswith("_")]
        raise UsageError(f"{file} has no {name!r}; {suggest(name, public)}")
    maker = getattr(source, name)
    net = maker if isinstance(maker, nn.Module) else _call(maker, text)
    net = getattr(net, "_orig_mod", net)  # what torch.compile wraps: compiled code sees no hooks
    facts = stated_by(net, text) | (stated_by(maker, text) if maker is not net else {})
    return Architecture(lambda: net, origin=f"{file.name}:{name}", source=source_digest(file), **facts)


def _call(maker: Any, text: str) -> nn.Module:
    if not callable(maker):
        raise UsageError(f"{text} is a {type(maker).__name__}; it must be a net or a function that returns one")
    try:
        net = maker()
    except FOREIGN_ERRORS as error:
        if not foreign(error):
            raise
        raise UsageError(f"{text}() failed: {reason(error)}") from error
    if not isinstance(net, nn.Module):
        raise UsageError(f"{text}() returned a {type(net).__name__}, not a torch.nn.Module")
    return net


def architecture_of(net: nn.Module, name: str) -> Architecture:
    """A net that a program has in memory, with the facts that its attributes state. Raises UsageError."""
    net = getattr(net, "_orig_mod", net)
    code = inspect.getsourcefile(type(net)) if type(net).__module__ != "__main__" else None
    own = code and not {"site-packages", "dist-packages"} & set(Path(code).parts)
    source = source_digest(Path(code)) if code and own else ""
    return Architecture(lambda: net, origin="in memory", source=source, **stated_by(net, name))
