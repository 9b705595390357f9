"""A trained network as one safetensors file that says how it came about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
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
