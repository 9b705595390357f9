"""A trained network as one safetensors file that says how it came about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import nn

from bench.core.errors import UsageError
from bench.core.files import write_atomic


def write_net(out: Path, net: nn.Module, facts: Mapping[str, Any]) -> Path:
    """OUT/net.safetensors: all tensors of the net, and the facts as JSON texts. Raises UsageError on a full disk."""
    file = out / "net.safetensors"
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    texts = {name: json.dumps(value, sort_keys=True) for name, value in facts.items()}
    content = safetensors.torch.save(state, texts)
    try:
        write_atomic(file, lambda path: path.write_bytes(content))
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written ({error.strerror}); make room, and the same command resumes"
        ) from error
    return file


def read_facts(file: Path) -> dict[str, Any]:
    """What the file of a trained network says of itself. Raises UsageError for one that is missing or says nothing."""
    try:
        with safe_open(file, "pt") as opened:
            found = {name: json.loads(text) for name, text in (opened.metadata() or {}).items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise UsageError(f"{file} is not the file of a trained network ({type(error).__name__})") from error
    if "architecture" not in found:
        raise UsageError(f"{file} does not say which network it holds; a training of this suite writes such files")
    return found
