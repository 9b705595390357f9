"""The grid pointing game: mosaics of images of different classes, each cell asked for in turn."""

from __future__ import annotations

import hashlib
import heapq
import logging
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import torch
import torchvision.transforms.functional as TF
from PIL import Image
from torchvision.transforms import InterpolationMode

from bench.classifiers.difull import cells_apart
from bench.core.classifier import Classifier
from bench.core.dataset import Dataset, Sample, dataset, load_dataset
from bench.core.errors import UsageError
from bench.core.files import write_atomic
from bench.core.progress import progress
from bench.core.ranges import within
from bench.core.seeds import content_hash
from bench.data.labels import match_labels
from bench.data.pixels import ImageProblem, load_image
from bench.data.selection import select

logger = logging.getLogger(__name__)

BATCH = 20
FRUITLESS = 1000
"""Deals in a row without a new mosaic, after which there are no more."""
Group = tuple[Sample, ...]


@dataset("grid")
def grid(
    root: Path | None,
    boxes: Path | None,
    *,
    of: str = "samples",
    n: Annotated[int, within(2, 32)] = 2,
    confidence: Annotated[float, within(0, 1)] = 0.5,
    mosaics: Annotated[int, within(0, 100_000)] = 0,
    difull: bool = False,
) -> Dataset:
    """Mosaics of n × n images of data set `of` (Böhle et al. 2021, arXiv 2104.00032; Rao et al. 2022, arXiv
    2205.10435), one sample per mosaic and cell, `grid-2x2-00001/cell-1` in reading order: the label is the class of the
    cell, the box the cell.

    An image is used when the classifier's top class is its label with a probability of at least `confidence`, shown
    alone as protocol clean shows it; those pixels are then shrunk to the cell (bilinear, antialiased), whose edges lie
    at round(i · S / n). The images of a mosaic differ in class. `mosaics=0` makes as many as can be with each image
    used at most once; a number takes no more images than it needs, in the order of `--limit`, and uses them again in
    other mosaics where they do not suffice. Neither depends on the order of the images.

    Attribution can leave the asked cell, since receptive fields do. `difull=true` has a classifier that sees each cell
    alone (`bench.classifiers.difull`), so that what leaves is the explainer's error; labels are cell · C + class.

    The samples exist once a classifier is given, by `compose`. Raises UsageError for bad parameters, and `compose` when
    there are too few such images.
    """
    if boxes is not None:
        raise UsageError("data set 'grid' has its cells as boxes; leave --boxes out")
    base = load_dataset(of, root)

    def compose(classifier: Classifier) -> tuple[Dataset, Classifier]:
        asked = cells_apart(classifier, n) if difull else classifier
        known = match_labels(base, classifier)
        groups = arrange(choose(known, classifier, confidence, n * n, mosaics), n * n, mosaics)
        folder = cache_folder() / "grid"
        samples = []
        for number, group in enumerate(groups, 1):
            path = stored(mosaic_of(group, n, classifier), folder)
            for cell, (sample, box) in enumerate(zip(group, cells(n, classifier.input_size), strict=True)):
                assert sample.label is not None
                label = sample.label + (cell * classifier.num_classes if difull else 0)
                samples.append(Sample(f"grid-{n}x{n}-{number:05}/cell-{cell + 1}", path, label, (box,)))
        classes = asked.classes if difull else known.classes
        return Dataset(
            "grid", tuple(samples), classes, folder, protocol="grid", metrics="GPG,T", remarks=known.remarks
        ), asked

    return Dataset("grid", (), base.classes, root, protocol="grid", compose=compose)


def choose(base: Dataset, classifier: Classifier, confidence: float, size: int, mosaics: int) -> list[Sample]:
    """The confident images, of which no more than `mosaics` mosaics of `size` images need.

    Raises UsageError when they do not make a single one.
    """
    chosen: list[Sample] = []
    per_class: Counter[int | None] = Counter()
    for sample in confident(base, classifier, confidence):
        chosen.append(sample)
        per_class[sample.label] += 1
        if mosaics and sum(min(images, mosaics) for images in per_class.values()) >= mosaics * size:
            break
    if len(per_class) < size:
        because = "".join(f" ({remark})" for remark in base.remarks)
        raise UsageError(
            f"of {len(base.samples)} images of {base.name}, {classifier.name} recognises {len(chosen)} of "
            f"{len(per_class)} classes with a probability of at least {confidence:g}, and a mosaic needs {size} "
            f"classes{because}; lower confidence or n, or name another data set by of="
        )
    return chosen


def confident(base: Dataset, classifier: Classifier, confidence: float) -> Iterator[Sample]:
    """The images whose label is the classifier's top class with at least that probability, in the order of a limit."""
    labelled = [sample for sample in select(base).samples if sample.label is not None]
    with progress(total=len(labelled), desc="choosing images", unit="image", leave=False) as bar:
        for start in range(0, len(labelled), BATCH):
            batch = labelled[start : start + BATCH]
            yield from recognised(batch, classifier, confidence)
            bar.update(len(batch))


def recognised(batch: Sequence[Sample], classifier: Classifier, confidence: float) -> list[Sample]:
    """Those of a batch; a file that cannot be decoded is named and left out."""
    shown = []
    for sample in batch:
        try:
            shown.append((sample, load_image(sample, "resize-crop", classifier.input_size, classifier.interpolation)))
        except ImageProblem as problem:
            logger.warning("%s is left out: %s", sample.path, problem)
    if not shown:
        return []
    images = torch.stack([image for _, image in shown]).to(classifier.device, classifier.dtype)
    with torch.no_grad():
        top = classifier.output.log_probabilities(classifier.score(images).double()).exp().max(1)
    answers = zip(shown, top.values.tolist(), top.indices.tolist(), strict=True)
    return [sample for (sample, _), p, predicted in answers if predicted == sample.label and p >= confidence]


def arrange(samples: Sequence[Sample], size: int, mosaics: int) -> list[Group]:
    """Groups of `size` samples of different classes: the most that use each sample once, or, dealt again and again,
    `mosaics` different ones. Raises UsageError when those do not come about."""
    groups: dict[tuple[str, ...], Group] = {}
    last = 0
    for turn in range(1 + 10 * mosaics):
        before = len(groups)
        groups |= {tuple(sample.id for sample in group): group for group in deal(samples, size, turn)}
        if len(groups) >= mosaics:
            return list(groups.values())[: mosaics or None]
        last = turn if len(groups) > before else last
        if turn - last > FRUITLESS:
            break
    raise UsageError(f"{len(samples)} images make only {len(groups)} different mosaics; ask for no more than that")


def deal(samples: Sequence[Sample], size: int, turn: int) -> list[Group]:
    """Groups of different classes, each sample at most once, in an order of content hashes.

    Taking from the classes with the most samples left makes the most groups.
    """
    hands = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: content_hash("grid", turn, sample.id)):
        hands[sample.label].append(sample)
    groups = []
    while all(largest := heapq.nlargest(size, hands.values(), key=len)) and len(largest) == size:
        group = (hand.pop() for hand in largest)
        groups.append(tuple(sorted(group, key=lambda sample: content_hash("cell", turn, sample.id))))
    return groups


def cells(n: int, size: int) -> list[tuple[int, int, int, int]]:
    """x0, y0, x1, y1 of the n × n cells in reading order, ends exclusive; they cover size × size pixels."""
    spans = list(pairwise(round(i * size / n) for i in range(n + 1)))
    return [(x0, y0, x1, y1) for y0, y1 in spans for x0, x1 in spans]


def mosaic_of(group: Group, n: int, classifier: Classifier) -> Image.Image:
    """The S × S mosaic, 8-bit RGB."""
    size = classifier.input_size
    mosaic = torch.empty(3, size, size)
    for sample, (x0, y0, x1, y1) in zip(group, cells(n, size), strict=True):
        try:
            image = load_image(sample, "resize-crop", size, classifier.interpolation)
        except ImageProblem as problem:
            raise UsageError(f"{sample.path} has changed while mosaics were made: {problem}") from problem
        mosaic[:, y0:y1, x0:x1] = TF.resize(image, [y1 - y0, x1 - x0], InterpolationMode.BILINEAR, antialias=True)
    result: Image.Image = TF.to_pil_image((mosaic * 255).round().to(torch.uint8))
    return result


def cache_folder() -> Path:
    """Where files that can be made again lie: CAMBENCH_CACHE, without it ~/.cache/cambench."""
    return Path(os.environ.get("CAMBENCH_CACHE") or "~/.cache/cambench").expanduser()


def stored(image: Image.Image, folder: Path) -> Path:
    """The image's PNG file, named by its pixels and written where it is not there yet. Raises UsageError."""
    path = folder / f"{hashlib.sha256(image.tobytes()).hexdigest()}.png"
    try:
        if not path.exists():
            write_atomic(path, lambda temporary: image.save(temporary, "PNG"))
    except OSError as error:
        raise UsageError(
            f"cannot write to {folder} ({error.strerror}); set the environment variable CAMBENCH_CACHE to a folder "
            "for mosaics"
        ) from error
    return path
