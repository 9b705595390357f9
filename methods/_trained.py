"""The file of a network that was trained here: safetensors that say how they came about."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import nn

from bench.core.errors import UsageError
from bench.core.seeds import forked_rng


def read_facts(file: Path, prefix: str, command: str) -> dict[str, Any]:
    """What the file of a trained network says of itself.

    Raises UsageError for one that is missing or is not of the trainings whose architectures begin with `prefix`;
    `command` makes one.
    """
    if not file.is_file():
        raise UsageError(f"no such file: {file}; train the network: {command}")
    try:
        with safe_open(file, "pt") as opened:
            found = {name: json.loads(text) for name, text in (opened.metadata() or {}).items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise UsageError(f"{file} is not the file of a trained network ({type(error).__name__})") from error
    if not str(found.get("architecture", "")).startswith(prefix):
        holds = found.get("architecture", "nothing that says which network it is")
        raise UsageError(f"{file} holds {holds}; expected {prefix}…, as of {command}")
    return found


def stored_net(make: Callable[[], nn.Module], file: Path) -> nn.Module:
    """The net that a file of `write_net` holds. Raises UsageError when the file does not fit."""
    with forked_rng(0):
        net = make().eval()
    try:
        net.load_state_dict(safetensors.torch.load_file(file))
    except RuntimeError as error:
        raise UsageError(f"{file} does not fit the network that it says it holds; train it again") from error
    return net
