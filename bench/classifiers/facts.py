"""Facts about a net that its weights do not tell: converted to what the harness needs, or refused; never dropped."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.core.architecture import Architecture
from bench.core.errors import UsageError, suggest
from bench.core.output import output_name

INTERPOLATIONS = ("bilinear", "bicubic", "nearest", "nearest-exact", "box", "hamming", "lanczos")
"""Names of torchvision's InterpolationMode."""
LARGEST = 4096
"""Pixels of an input's side."""


def size(value: Any) -> int:
    """224, NumPy's 224, (224, 224) and timm's (3, 224, 224) are one thing."""
    sides = [int(side) for side in numbers(value)]
    if len(sides) == 3 and sides[0] in (1, 3):
        sides = sides[1:]
    if len(sides) not in (1, 2) or len(set(sides)) > 1:
        raise ValueError(f"must be the side of a square, not {tuple(sides)}; wrap the net to take square images")
    if not 1 <= sides[0] <= LARGEST or sides != numbers(value)[-len(sides) :]:
        raise ValueError(f"must be a whole number from 1 to {LARGEST}")
    return sides[0]


def numbers(value: Any) -> list[float]:
    """A number, or a list, array or tensor of numbers (of any shape, as (1, 3, 1, 1)). Raises ValueError."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().double().numpy()
    try:
        array = np.asarray(value, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        raise ValueError(f"must be numbers, not {value!r}") from None
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError("must be finite numbers")
    return array.tolist()


def colour(value: Any) -> tuple[float, ...]:
    found = numbers(value)
    if len(found) not in (1, 3):
        raise ValueError(f"must be 3 numbers, red, green, blue (or 1 for a grey net), not {len(found)}")
    return tuple(found)


def mean(value: Any) -> tuple[float, ...]:
    found = colour(value)
    if max(map(abs, found)) > 2:
        raise ValueError("is on the scale 0 … 255, and images are in [0, 1]; divide it by 255")
    return found


def std(value: Any) -> tuple[float, ...]:
    found = colour(value)
    if min(found) <= 0:
        raise ValueError("must be above 0")
    if max(found) > 4:
        raise ValueError("is on the scale 0 … 255, and images are in [0, 1]; divide it by 255")
    return found


def interpolation(value: Any) -> str:
    """torchvision's name, its enum, or Pillow's."""
    name = str(getattr(value, "value", value)).lower()
    if name not in INTERPOLATIONS:
        raise ValueError(f"{value!r} is unknown; {suggest(name, list(INTERPOLATIONS))}")
    return name


def class_names(value: Any) -> tuple[str, ...]:
    """Names by index, of a sequence or of a mapping {0: name, …}."""
    if isinstance(value, Mapping):
        try:
            by_index = {int(index): name for index, name in value.items()}
        except (TypeError, ValueError):
            by_index = {int(index): name for name, index in value.items()}  # torchvision's class_to_idx
        if sorted(by_index) != list(range(len(by_index))):
            raise ValueError(f"must name the classes 0 … {len(by_index) - 1}, each once")
        value = [by_index[index] for index in range(len(by_index))]
    if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray):
        raise ValueError(f"must be a list of names, not {type(value).__name__}")
    return tuple(str(name) for name in value)


def whole(value: Any) -> int:
    (found,) = numbers(value)
    if found < 0 or found != math.floor(found):
        raise ValueError("must be a whole number of at least 0")
    return int(found)


def share(value: Any) -> float:
    (found,) = numbers(value)
    if not 0 < found <= 1:
        raise ValueError("must be above 0 and at most 1")
    return found


FACTS: dict[str, Callable[[Any], Any]] = {
    "layer": str,
    "input_size": size,
    "mean": mean,
    "std": std,
    "interpolation": interpolation,
    "crop_pct": share,
    "classes": class_names,
    "output": lambda value: output_name(str(value)),
    "prefix_tokens": whole,
}
"""Names of the facts and what each is converted by."""


def convert(name: str, value: Any, of: str) -> Any:
    """A fact's value as the harness needs it. Raises UsageError, naming the fact and whose it is."""
    try:
        return FACTS[name](value)
    except ValueError as error:
        raise UsageError(f"{name} of {of} {error}") from None


def checked(architecture: Architecture, name: str, stated: Mapping[str, Any]) -> Architecture:
    """The architecture with the facts that a user states besides, all converted. Raises UsageError."""
    own = {key: getattr(architecture, key) for key in FACTS}
    found = {key: value for key, value in {**own, **stated}.items() if value is not None and value != ()}
    return dataclasses.replace(architecture, **{key: convert(key, value, name) for key, value in found.items()})


def stated_by(holder: Any, name: str) -> dict[str, Any]:
    """The facts among the attributes of a net, or of the function that builds it; timm's recipe below them.

    A submodule or a method that bears a fact's name states nothing. A buffer or parameter called mean or std raises
    UsageError: it may mean that the net normalises by itself.
    """
    found = recipe(holder)
    for key in FACTS:
        value = getattr(holder, key, None)
        if value is None or isinstance(value, nn.Module) or callable(value):
            continue
        if isinstance(holder, nn.Module) and (key in holder._buffers or key in holder._parameters):
            if key in ("mean", "std"):
                raise UsageError(
                    f"{name} has a buffer called {key}: if the net normalises images by itself, say --mean 0 --std 1; "
                    "if not, state the numbers with --mean and --std"
                )
            continue
        found[key] = value
    return {key: convert(key, value, name) for key, value in found.items()}


def recipe(holder: Any) -> dict[str, Any]:
    """What timm's `pretrained_cfg` says of a net."""
    config = getattr(holder, "pretrained_cfg", None) or getattr(holder, "default_cfg", None)
    if not isinstance(config, Mapping):
        return {}
    names = ("input_size", "mean", "std", "interpolation", "crop_pct")
    return {key: config[key] for key in names if config.get(key) is not None}


def read_classes(file: Path) -> tuple[str, ...]:
    """Class names of a text file, one per line in the order of the logits, or of a JSON list or mapping by index.

    Raises UsageError for a file that is missing or holds no names.
    """
    try:
        text = file.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = type(error).__name__
        raise UsageError(f"--classes {file} cannot be read ({why}); it needs one name per line") from None
    if file.suffix == ".json":
        try:
            result: tuple[str, ...] = convert("classes", json.loads(text), str(file))
            return result
        except json.JSONDecodeError as error:
            raise UsageError(f"--classes {file} is not JSON: {error}") from None
    names = [line.strip() for line in text.strip().splitlines()]
    if not names or "" in names:
        raise UsageError(f"--classes {file} needs one class name per line, in the order of the network's outputs")
    return tuple(names)
