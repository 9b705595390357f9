"""A training in a file, complete at every moment: the same command resumes from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.core.files import write_atomic

Row = dict[str, float]


@dataclass
class Progress:
    """How far a training has come, besides its tensors."""

    step: int = 0
    seconds: float = 0.0
    micro: int = 0
    """Images that go through the net at once."""
    sums: Row = field(default_factory=dict)
    """Of this epoch so far: each part of the objective over images, and `images`."""
    rows: list[Row] = field(default_factory=list)
    """The log, a row per finished epoch."""


def save(
    file: Path,
    progress: Progress,
    modules: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
    identity: Mapping[str, Any],
) -> None:
    """Write all of it at once; `identity` is what the training depends on."""
    tensors = {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    for name, optimiser in optimisers.items():
        tensors.update(optimiser_tensors(name, optimiser))
    metadata = {"progress": json.dumps(asdict(progress)), "identity": json.dumps(identity, sort_keys=True)}
    content = safetensors.torch.save({key: value.cpu().contiguous() for key, value in tensors.items()}, metadata)
    write_atomic(file, lambda path: path.write_bytes(content))


def resume(
    file: Path,
    modules: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
    identity: Mapping[str, Any],
) -> Progress | None:
    """Put everything back as it was saved; None when nothing was. Raises UsageError when another training was."""
    if not file.exists():
        return None
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    before, now = json.loads(metadata["identity"]), json.loads(json.dumps(identity))
    if before != now:
        differing = ", ".join(sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key)))
        raise UsageError(f"{file.parent} holds another training (other {differing}); choose another --out")
    tensors = safetensors.torch.load_file(file)
    for name, module in modules.items():
        module.load_state_dict(under(tensors, name))
    for name, optimiser in optimisers.items():
        load_optimiser(optimiser, under(tensors, name))
    return Progress(**json.loads(metadata["progress"]))


def under(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


def optimiser_tensors(name: str, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Adam's moments and counts as NAME.INDEX.FIELD."""
    state = optimiser.state_dict()["state"]
    return {f"{name}.{i}.{key}": value for i, fields in state.items() for key, value in fields.items()}


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
