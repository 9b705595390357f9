"""CIFAR-10 and CIFAR-100 as torchvision reads them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from torchvision.datasets import CIFAR10, CIFAR100

from bench.core.dataset import Dataset, dataset
from bench.core.errors import UsageError
from bench.data.folder import existing, folder
from bench.data.grid import cache_folder

Split = Literal["test", "train"]


@dataset("cifar10")
def cifar10(root: Path | None, boxes: Path | None, *, split: Split = "test") -> Dataset:
    """CIFAR-10 (Krizhevsky 2009): ROOT/cifar-10-batches-py, as torchvision stores it. Raises UsageError where it is
    missing or damaged."""
    return unpacked(CIFAR10, "cifar10", "cifar-10-batches-py", root, boxes, split)


@dataset("cifar100")
def cifar100(root: Path | None, boxes: Path | None, *, split: Split = "test") -> Dataset:
    """CIFAR-100 (Krizhevsky 2009): ROOT/cifar-100-python, as torchvision stores it. Raises UsageError where it is
    missing or damaged."""
    return unpacked(CIFAR100, "cifar100", "cifar-100-python", root, boxes, split)


def unpacked(source: Any, name: str, inside: str, root: Path | None, boxes: Path | None, split: Split) -> Dataset:
    """The images as PNG files in the folder of things that can be made again, a folder per class."""
    root = existing(root, name, f"ROOT/{inside}, as torchvision's {source.__name__} downloads it")
    try:
        found = source(str(root), train=split == "train")
    except (RuntimeError, OSError, EOFError) as error:
        raise UsageError(
            f"{root / inside} is missing or damaged; get it with torchvision.datasets.{source.__name__}"
            f"({str(root)!r}, download=True)"
        ) from error
    target = cache_folder() / f"{name}-{split}"
    if not target.is_dir():
        write(found, target)
    files = folder(target, boxes)
    return Dataset(name, files.samples, tuple(sorted(found.classes)), root, protocol="cifar-2024")


def write(found: Any, target: Path) -> None:
    """All images, or nothing. Raises UsageError when the cache cannot be written."""
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        for name in found.classes:
            (scratch / name).mkdir(parents=True, exist_ok=True)
        for index, (pixels, label) in enumerate(zip(found.data, found.targets, strict=True)):
            Image.fromarray(pixels).save(scratch / found.classes[label] / f"{index:05}.png")
        os.replace(scratch, target)
    except OSError as error:
        raise UsageError(
            f"cannot write to {target.parent} ({error.strerror}); set the environment variable CAMBENCH_CACHE to a "
            "folder for images"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
