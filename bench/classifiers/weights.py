"""Weights: read without pickle, loaded strictly, with one-line complaints; and a quick look whether a host answers."""

from __future__ import annotations

import hashlib
import pickle
import re
import urllib.error
import urllib.request
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from bench.core.errors import UsageError

PROBE_SECONDS = 4.0


def load_weights(net: nn.Module, path: Path, name: str) -> str:
    """Load a file into a net, strictly; returns the origin (file name and sha256). Raises UsageError."""
    state = read_state(path)
    load_state(net, state, source=path.name, name=name)
    return f"{path.name} sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors in a .safetensors, .pth or .pt file by name; a `state_dict` inside a checkpoint is unwrapped."""
    if not path.is_file():
        raise UsageError(f"no such weights file: {path}")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(f"{path} holds no weights that can be read safely ({why}); save a plain state_dict") from error
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise UsageError(f"{path} holds a {type(state).__name__} that is no state_dict; save net.state_dict()")
    return state  # type: ignore[return-value]


def load_state(net: nn.Module, state: Mapping[str, Tensor], *, source: str, name: str) -> None:
    """Copy a state into a net of the same names and shapes. Floats are cast to the net's dtype.

    Names of DataParallel (`module.`) and of torchvision's oldest DenseNet files (`norm.1`) are understood. Raises
    UsageError that says what is missing, unexpected or of another shape.
    """
    own = net.state_dict()
    given = OrderedDict((_modern(key), value) for key, value in state.items())
    missing = [key for key in own if key not in given and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in given if key not in own]
    if missing or unexpected:
        raise UsageError(f"{source} does not fit {name}: {_some('missing', missing)}{_some('unexpected', unexpected)}")
    differing = [key for key in given if given[key].shape != own[key].shape]
    if differing:
        raise UsageError(f"{source} does not fit {name}: {_shapes(differing, given, own)}")
    given._metadata = getattr(state, "_metadata", getattr(own, "_metadata", None))  # type: ignore[attr-defined]
    for key in own.keys() - given.keys():
        given[key] = own[key]
    net.load_state_dict(given)


def load_by_order(net: nn.Module, state: Mapping[str, Tensor], *, source: str, name: str) -> None:
    """Copy a state of other names into a net whose parameters and buffers come in the same order and shapes."""
    own = {key: value for key, value in net.state_dict().items() if not key.endswith("num_batches_tracked")}
    values = [value for key, value in state.items() if not key.endswith("num_batches_tracked")]
    if [value.shape for value in values] != [value.shape for value in own.values()]:
        raise UsageError(f"{source} does not fit {name}: the shapes differ, in order; reinstall the package")
    net.load_state_dict(dict(zip(own, values, strict=True)), strict=False)


def require_host(url: str, name: str) -> None:
    """Raise UsageError at once, with the ways out, when the host of the weights does not answer."""
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PROBE_SECONDS).close()
    except urllib.error.HTTPError:
        return  # it answered
    except (OSError, ValueError) as error:
        raise UsageError(no_weights(name)) from error


def no_weights(name: str) -> str:
    return (
        f"the weights of {name} cannot be downloaded; give a file with --weights {name}=FILE, "
        "or use an embedded model: efficientnet_lite0, efficientnet_lite1, efficientnet_lite2"
    )


def _modern(key: str) -> str:
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)\.", r"\1\2.", key.removeprefix("module."))


def _some(what: str, keys: list[str]) -> str:
    if not keys:
        return ""
    return f"{len(keys)} {what} ({', '.join(keys[:3])}{', …' if len(keys) > 3 else ''}) "


def _shapes(differing: list[str], given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    last = [key for key in own if key.endswith(("weight", "bias"))][-2:]
    if set(differing) <= set(last):
        return (
            f"it has {given[differing[0]].shape[0]} classes and the net {own[differing[0]].shape[0]}; "
            "for other classes build the net yourself, with --model FILE.py:NAME"
        )
    key = differing[0]
    return f"{key} has shape {tuple(given[key].shape)}, not {tuple(own[key].shape)} ({len(differing)} such)"
