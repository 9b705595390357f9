"""What a file of weights holds: its tensors by name, or one line on what it is instead."""

from __future__ import annotations

import argparse
import pathlib
import pickle
import re
import stat
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from bench.core.errors import UsageError

PLAIN = ("state_dict", "model_state_dict", "model_state", "model", "net_state_dict", "net", "network", "weights",
         "params", "module")  # fmt: skip
"""Where training programs keep the weights in a checkpoint, in the order in which they are preferred."""
AVERAGED = ("state_dict_ema", "ema_state_dict", "model_ema", "ema_model", "ema", "params_ema")
"""Where they keep the moving average of the weights."""
HARMLESS = (argparse.Namespace, pathlib.PosixPath, pathlib.PurePosixPath)
"""What checkpoints hold beside the weights, the arguments of the training above all; reading one runs no code."""
HEADER = 4096

SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (rb"version https://git-lfs", "is a Git LFS pointer, not the weights themselves; fetch them with: git lfs pull"),
    (rb"\s*(?i:<!doctype|<html|<\?xml|<head)", "is a web page, not weights; open its address in a browser and download "
     "the file itself"),
    (rb"\x1f\x8b", "is a gzip archive; unpack it and name the file of weights inside"),
    (rb"\xfd7zXZ|BZh|7z\xbc\xaf|\x28\xb5\x2f\xfd|Rar!", "is a compressed archive; unpack it and name the file of "
     "weights inside"),
    (rb"\x93NUMPY", "is a NumPy array; save net.state_dict() with torch.save or safetensors"),
    (rb"\x89HDF", "is an HDF5 file, as Keras writes them; only PyTorch's weights can be loaded"),
    (rb"GGUF|....TFL3", "holds another program's network; only PyTorch's weights can be loaded"),
    (rb"\x08[\x01-\x14][\x12\x1a\x22\x2a\x3a]", "looks like an ONNX file; only PyTorch's weights can be loaded"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF....WEBP", "is an image, not weights"),
    (rb"%PDF", "is a PDF, not weights"),
)  # fmt: skip
"""How other files begin, and what is said of them."""


class State(NamedTuple):
    """Tensors by name, and what is to be known about how they were found."""

    tensors: dict[str, Tensor]
    note: str = ""


def read_file(path: Path) -> State:
    """The tensors in a .safetensors, .pth or .pt file, whatever it is called, from within a checkpoint if need be.

    Raises UsageError that says what the file is, where it is no weights.
    """
    refuse_other_files(path)
    try:
        with path.open("rb") as file:
            header = file.read(9)
        if header[8:] == b"{":  # the length of a JSON text, and the text
            return State(safetensors.torch.load_file(path))
        with torch.serialization.safe_globals(list(HARMLESS)):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UsageError(f"{path} {unsafe(str(error))}") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or type(error).__name__}") from error
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError, IndexError, AttributeError, TypeError,
            UnicodeDecodeError, tarfile.TarError) as error:  # fmt: skip
        raise UsageError(
            f"{path} holds no weights that can be read safely: it is damaged, cut short or of another kind "
            f"({plain(str(error)) or type(error).__name__}); save a plain state_dict, or fetch the file again"
        ) from error
    state = unwrapped(found)
    if state is None:
        raise UsageError(f"{path} holds {described(found)}; save net.state_dict()")
    return state


def refuse_other_files(path: Path) -> None:
    """Raise UsageError for what is no file, and for a file that by its first bytes is none of weights."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            inside = sorted(p.name for p in path.iterdir() if p.suffix in (".safetensors", ".pth", ".pt", ".bin"))
            hint = f", as {path / inside[0]}" if inside else ""
            raise UsageError(f"{path} is a folder; name the file of weights in it{hint}")
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{path} is not a regular file")
        with path.open("rb") as file:
            header = file.read(HEADER)
    except FileNotFoundError:
        raise UsageError(f"no such weights file: {path}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not header:
        raise UsageError(f"{path} is empty; fetch it again")
    if header[8:9] == b"{":
        return
    for start, what in SIGNATURES:
        if re.match(start, header, re.DOTALL):
            raise UsageError(f"{path} {what}")
    if header[257:262] == b"ustar":
        raise UsageError(f"{path} is a tar archive; unpack it and name the file of weights inside")
    if header[:2] == b"PK":
        refuse_other_archives(path)
    elif header[:1] != b"\x80" and is_text(header):
        raise UsageError(f"{path} is text, not weights")


def refuse_other_archives(path: Path) -> None:
    """Raise UsageError for a zip archive that torch.save did not write."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise UsageError(f"{path} is cut short or damaged; fetch it again") from error
    if any(name.endswith("/constants.pkl") for name in names):
        raise UsageError(f"{path} is a TorchScript program; load it in a file of your own and save net.state_dict()")
    if any(name.endswith("/data.pkl") for name in names):
        return
    if names and all(name.endswith(".npy") for name in names):
        raise UsageError(f"{path} is a NumPy archive; save net.state_dict() with torch.save or safetensors")
    inside = next((f", {name}" for name in names if name.endswith((".pth", ".pt", ".safetensors", ".bin"))), "")
    raise UsageError(f"{path} is a zip archive; unpack it and name the file of weights inside{inside}")


def is_text(header: bytes) -> bool:
    """Whether it is readable text throughout."""
    try:
        return header.decode("utf-8").isprintable() or not re.search(rb"[\x00-\x08\x0e-\x1f]", header)
    except UnicodeDecodeError:
        return False


def unsafe(message: str) -> str:
    """What is said of a pickle that may run code, from torch's message."""
    name = re.search(r"GLOBAL (\S+)", message)
    if name is None:
        why = plain(message).removeprefix("Weights only load failed. ")
        return f"holds no weights that can be read safely ({why[:120]}); save a plain state_dict"
    return (
        f"holds no weights that can be read safely: a pickle of {name[1].rstrip('.,')}, which may run code when it is "
        "read; where you trust it, load it in a file of your own and save net.state_dict()"
    )


def plain(message: str) -> str:
    """The first line of a message, without terminal codes."""
    lines = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", message).strip().splitlines()
    return " ".join(lines[0].split()).rstrip(".") if lines else ""


def unwrapped(found: Any, depth: int = 8) -> State | None:
    """The tensors by name in what was read: itself, or an entry of it, entries of entries; None where there are none.

    Weights are taken rather than their moving average, and it is said which. What else lies beside tensors, such as a
    count of epochs, is left out.
    """
    if not isinstance(found, Mapping) or not depth:
        return None
    inner = {key: state for key in (*PLAIN, *AVERAGED) if (state := unwrapped(found.get(key), depth - 1))}
    if inner:
        key = next(iter(inner))
        averages = [name for name in AVERAGED if name in inner and name != key]
        note = f"weights of '{key}', not the moving average in '{averages[0]}'" if averages else ""
        if key in AVERAGED:
            note = f"the moving average in '{key}'"
        return State(inner[key].tensors, note or inner[key].note)
    tensors = {key: value for key, value in found.items() if isinstance(key, str) and isinstance(value, Tensor)}
    return State(tensors) if 2 * len(tensors) > len(found) else None


def described(found: Any) -> str:
    """What an object without weights is, for a message."""
    if isinstance(found, Mapping) and found:
        names = ", ".join(map(str, list(found)[:5])) + (", …" if len(found) > 5 else "")
        return f"a {type(found).__name__} of {names}, in which there is no state_dict"
    return f"a {type(found).__name__} that is not a state_dict"
