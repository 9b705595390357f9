"""What never changes with a frozen net and images as they are, kept on the disk."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from bench.core.seeds import content_hash
from bench.data.pixels import ImageProblem
from methods.decoder.architecture import DecoderConfig, Reading
from methods.decoder.reading import read, row_weights, takes_gradient
from methods.decoder.training.photographs import Batch, Photographs, pixels_of

CHUNK = 20
"""Images that are read and passed through the net together."""


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


def cached(photographs: Photographs, classifier: Classifier, config: DecoderConfig, true: bool, root: Path) -> Cache:
    """The cache of these images for this classifier, made if `root` has none. Raises UsageError when the disk is too
    small for it."""
    samples = photographs.dataset.samples
    files = [(sample.id, sample.label, sample.path.stat().st_size) for sample in samples]
    gradient = takes_gradient(classifier, config)
    key = content_hash(
        classifier.digest, config.layers, classifier.input_size, classifier.interpolation, classifier.mean.tolist(),
        classifier.std.tolist(), gradient and config.evidence, true, files,
    )  # fmt: skip
    folder = root / key[:16]
    if (folder / "facts.json").exists():
        return Cache.open(folder)
    scratch = root / f".{key[:16]}.{os.getpid()}"
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        fill(scratch, photographs, classifier, config, true)
        if not folder.exists():
            os.replace(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Cache.open(folder)


def fill(folder: Path, photographs: Photographs, classifier: Classifier, config: DecoderConfig, true: bool) -> None:
    """Read every image once and write the arrays and then the facts."""
    arrays: dict[str, np.memmap] = {}
    broken: dict[int, str] = {}
    samples = photographs.dataset.samples
    todo = tqdm(chunks(photographs, broken), "caching", math.ceil(len(samples) / CHUNK), dynamic_ncols=True)
    for indices, images in todo:
        labels = torch.tensor([samples[i].label for i in indices]) if true else None
        targets = None if labels is None else labels.to(classifier.device)
        reading = read(classifier, config, pixels_of(images, classifier), targets)
        rows = {"images": images, **stored(reading, config, classifier)}
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


def stored(reading: Reading, config: DecoderConfig, classifier: Classifier) -> Batch:
    """What of a reading is cached: weights only where they are gradients, maps cut to the range of float16."""
    limit = torch.finfo(torch.float16).max
    maps = {f"maps{i}": found.clamp(-limit, limit).half() for i, found in enumerate(reading.maps)}
    weights = {"weights": reading.weights} if reading.weights is not None and takes_gradient(classifier, config) else {}
    return {**maps, "logits": reading.logits.float(), "targets": reading.targets, **weights}


def restored(batch: Batch, config: DecoderConfig, classifier: Classifier) -> Reading:
    """The reading in a cached batch."""
    device, dtype = classifier.device, classifier.dtype
    maps = tuple(batch[f"maps{i}"].to(device).to(dtype) for i in range(len(config.layers)))
    logits, targets = batch["logits"].to(device), batch["targets"].to(device)
    if "weights" in batch:
        return Reading(maps, logits, targets, batch["weights"].to(device))
    weights = row_weights(classifier, config, logits, targets) if config.weighted else None
    return Reading(maps, logits, targets, weights)


def check_disk(folder: Path, count: int, example: Batch) -> None:
    needed = count * sum(values[0].numel() * values.element_size() for values in example.values())
    free = shutil.disk_usage(folder).free
    if needed > 0.95 * free:
        raise UsageError(
            f"caching {count} images takes {needed / 1e9:.1f} GB and {folder.parent} has {free / 1e9:.1f} GB; "
            "name a larger disk with --cache, or train with --augment, which caches nothing"
        )
