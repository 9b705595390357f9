"""Weights: read without pickle, loaded strictly, with one-line complaints; and a quick look whether a host answers."""

from __future__ import annotations

import hashlib
import logging
import urllib.error
import urllib.request
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.classifiers.checkpoints import read_file
from bench.classifiers.names import own_names
from bench.core.errors import UsageError

log = logging.getLogger(__name__)

PROBE_SECONDS = 4.0


def load_weights(net: nn.Module, path: Path, name: str) -> str:
    """Load a file into a net, strictly; returns the origin: file name, what of the file was taken where it holds more,
    and sha256. Raises UsageError."""
    state, found = read_file(path)
    taken = load_state(net, state, source=path.name, name=name)
    notes = "; ".join(filter(None, (found, taken)))
    if notes:
        log.warning("%s: %s", path.name, notes)
    return f"{path.name} {f'({notes}) ' if notes else ''}sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors in a file of weights by name. Raises UsageError."""
    return read_file(path).tensors


def load_state(net: nn.Module, state: Mapping[str, Tensor], *, source: str, name: str) -> str:
    """Copy a state into a net of the same names and shapes; returns a remark on what of the state was left out, or "".
    Floats are cast to the net's dtype.

    Prefixes of training programs (see `names.own_names`) and the names of torchvision's oldest DenseNet files
    (`norm.1`) are understood, also by a net in DataParallel. A tensor that the net holds under two names may be given
    under one. Raises UsageError that says what is missing, unexpected, of another shape, or no plain number.
    """
    while isinstance(net, nn.DataParallel):
        net = net.module
    own = net.state_dict()
    given, remark = own_names(state, own.keys(), source)
    share(given, own)
    missing = [key for key in own if key not in given and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in given if key not in own]
    if missing or unexpected:
        kind = "" if own.keys() & given.keys() else "it is of another architecture: "
        raise UsageError(
            f"{source} does not fit {name}: {kind}{_some('missing', missing)}{_some('unexpected', unexpected)}".rstrip()
        )
    differing = [key for key in given if given[key].shape != own[key].shape]
    if differing:
        raise UsageError(f"{source} does not fit {name}: {_shapes(differing, given, own)}")
    for key, value in given.items():
        if why := unusable(value, own[key]):
            raise UsageError(f"{source} does not fit {name}: {key} {why}")
    complete = OrderedDict({**own, **given})
    complete._metadata = getattr(state, "_metadata", getattr(own, "_metadata", None))  # type: ignore[attr-defined]
    net.load_state_dict(complete)
    return remark


def share(given: dict[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Fill in names that are missing because the net holds their tensor under another name too."""
    by_place = {place(own[key]): value for key, value in given.items() if key in own and own[key].numel()}
    absent = {key: place(value) for key, value in own.items() if key not in given}
    given |= {key: by_place[where] for key, where in absent.items() if where in by_place}


def place(tensor: Tensor) -> tuple[int, torch.Size, tuple[int, ...]]:
    return tensor.data_ptr(), tensor.shape, tensor.stride()


def unusable(value: Tensor, own: Tensor) -> str:
    """Why a tensor cannot stand for one of the net's, or ""."""
    if value.is_meta:
        return "has no numbers; the net was saved from the meta device"
    if own.is_floating_point() and (value.is_quantized or not value.is_floating_point()):
        kind = str(value.dtype).removeprefix("torch.")
        return f"is {kind}, the net's is {str(own.dtype).removeprefix('torch.')}; save the weights before quantisation"
    if value.is_floating_point() and value.float().isnan().any():
        return "holds NaN; the training has diverged"
    return ""


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


def _some(what: str, keys: list[str]) -> str:
    if not keys:
        return ""
    return f"{len(keys)} {what} ({', '.join(keys[:3])}{', …' if len(keys) > 3 else ''}) "


def _shapes(differing: list[str], given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    last = [key for key in own if key.endswith(("weight", "bias"))][-2:]
    if set(differing) <= set(last) and given[differing[0]].ndim:
        return (
            f"it has {given[differing[0]].shape[0]} classes and the net {own[differing[0]].shape[0]}; "
            "for other classes build the net yourself, with --model FILE.py:NAME"
        )
    key = differing[0]
    return f"{key} has shape {tuple(given[key].shape)}, not {tuple(own[key].shape)} ({len(differing)} such)"
