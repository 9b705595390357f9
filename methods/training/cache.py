"""What never changes in a training, as the answers of a frozen net to images as they are, kept on the disk."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from bench.core.errors import UsageError
from bench.core.seeds import content_hash
from bench.data.pixels import ImageProblem
from methods.training.photographs import Batch, Photographs

CHUNK = 20
"""Images that are read and passed through the net together."""
LARGEST_HALF = torch.finfo(torch.float16).max


@dataclass(frozen=True)
class Cache:
    """A memory-mapped array per name of a batch, a row per image."""

    arrays: dict[str, NDArray[Any]]
    broken: dict[int, str]
    """Why an image cannot be used, by index."""

    @classmethod
    def open(cls, folder: Path) -> Cache:
        facts = json.loads((folder / "facts.json").read_text())
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in facts["arrays"]}
        return cls(arrays, {int(index): why for index, why in facts["broken"].items()})

    def __call__(self, index: int) -> Batch:
        """Raises ImageProblem for an image that could not be read when the cache was made."""
        if index in self.broken:
            raise ImageProblem(self.broken[index])
        return {name: torch.from_numpy(np.array(array[index])) for name, array in self.arrays.items()}


def halved(maps: Tensor) -> Tensor:
    """Maps cut to the range of float16, in which they are stored."""
    return maps.clamp(-LARGEST_HALF, LARGEST_HALF).half()


def cached(
    photographs: Photographs, answers: Callable[[Tensor, Tensor | None], Batch], root: Path, *identity: Any
) -> Cache:
    """The cache of these images, made if `root` has none.

    `answers` gives what is kept of uint8 images (B, 3, S, S) and their labels (B,), which are None where `photographs`
    has none; `identity` is all that it depends on besides the images. Raises UsageError when the disk is too small.
    """
    samples = photographs.dataset.samples
    files = [(sample.id, sample.label, sample.path.stat().st_size) for sample in samples]
    key = content_hash(*identity, files)
    folder = root / key[:16]
    if (folder / "facts.json").exists():
        return Cache.open(folder)
    scratch = root / f".{key[:16]}.{os.getpid()}"
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        fill(scratch, photographs, answers)
        if not folder.exists():
            os.replace(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Cache.open(folder)


def fill(folder: Path, photographs: Photographs, answers: Callable[[Tensor, Tensor | None], Batch]) -> None:
    """Read every image once and write the arrays and then the facts."""
    arrays: dict[str, np.memmap] = {}
    broken: dict[int, str] = {}
    samples = photographs.dataset.samples
    todo = tqdm(chunks(photographs, broken), "caching", math.ceil(len(samples) / CHUNK), dynamic_ncols=True)
    for indices, images in todo:
        labels = torch.tensor([samples[i].label for i in indices]) if photographs.labelled else None
        rows = {"images": images, **answers(images, labels)}
        if not arrays:
            check_disk(folder, len(samples), rows)
            arrays = {name: new_array(folder / f"{name}.npy", len(samples), values) for name, values in rows.items()}
        for name, values in rows.items():
            arrays[name][indices] = values.cpu().numpy()
    if not arrays:
        raise UsageError(f"{photographs.dataset.name} has no readable image; first: {next(iter(broken.values()))}")
    for array in arrays.values():
        array.flush()
    (folder / "facts.json").write_text(json.dumps({"arrays": sorted(arrays), "broken": broken}))


def new_array(file: Path, count: int, example: Tensor) -> np.memmap:
    values = example.cpu().numpy()
    return open_memmap(file, "w+", values.dtype, (count, *values.shape[1:]))


def chunks(photographs: Photographs, broken: dict[int, str]) -> Iterator[tuple[list[int], Tensor]]:
    """Indices and uint8 pixels of the images that can be read; the others are noted in `broken`."""
    samples = photographs.dataset.samples
    for start in range(0, len(samples), CHUNK):
        found: dict[int, Tensor] = {}
        for i in range(start, min(start + CHUNK, len(samples))):
            try:
                found[i] = photographs.pixels(samples[i], -1)
            except ImageProblem as problem:
                broken[i] = str(problem)
        if found:
            yield list(found), torch.stack(list(found.values()))


def check_disk(folder: Path, count: int, example: Batch) -> None:
    needed = count * sum(values[0].numel() * values.element_size() for values in example.values())
    free = shutil.disk_usage(folder).free
    if needed > 0.95 * free:
        raise UsageError(
            f"caching {count} images takes {needed / 1e9:.1f} GB and {folder.parent} has {free / 1e9:.1f} GB; "
            "name a larger disk with --cache, or train with --augment, which caches nothing"
        )
