"""Images of two objects, one above the other, of which a network that cannot see the lower rows sees one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import torchvision.transforms.functional as TF
from PIL import Image

from bench.core.classifier import Classifier
from bench.core.dataset import Dataset, Sample, dataset, load_dataset
from bench.core.errors import UsageError
from bench.core.ranges import within
from bench.data.folder import folder
from bench.data.grid import Group, arrange, cache_folder, stored
from bench.data.labels import match_labels
from bench.data.pixels import load_image

SIZE, LOWER = 224, 54
"""Side of the images, and rows of the lower one."""
METRICS = "UNSEEN,UNSEEN-SD,T"


@dataset("stack-mix")
def stack_mix(
    root: Path | None,
    boxes: Path | None,
    *,
    of: str = "samples",
    stacks: Annotated[int, within(0, 100_000)] = 0,
) -> Dataset:
    """Pairs of images of different classes of data set `of`, as STACK-MIX (Taimeskhanov et al. 2024, arXiv 2404.01964):
    the middle 170 rows of one above the middle 54 of the other, each shown at 224 × 224 as protocol clean shows it.
    Label and box are the upper image's.

    `stacks=0` makes as many as can be with each image used at most once; a number uses them again where they do not
    suffice. The choice depends on the images' names, not on their order. Raises UsageError for bad parameters, and
    `compose` where there are too few images; the authors' own images are not public.
    """
    if boxes is not None:
        raise UsageError("data set 'stack-mix' has the upper image as box; leave --boxes out")
    base = load_dataset(of, root)

    def compose(classifier: Classifier) -> tuple[Dataset, Classifier]:
        known = match_labels(base, classifier)
        labelled = [sample for sample in known.samples if sample.label is not None]
        if len({sample.label for sample in labelled}) < 2:
            raise UsageError(f"{base.name} has images of fewer than two classes; a stack needs two")
        cache = cache_folder() / "stacks"
        samples = []
        for number, group in enumerate(arrange(labelled, 2, stacks), 1):
            path = stored(stack_of(group, classifier.interpolation), cache)
            box = (0.0, 0.0, float(SIZE), float(SIZE - LOWER))
            samples.append(Sample(f"stack-{number:05}", path, group[0].label, (box,)))
        return Dataset(
            "stack-mix", tuple(samples), known.classes, cache, protocol="walls-2024", metrics=METRICS,
            remarks=known.remarks,
        ), classifier  # fmt: skip

    return Dataset("stack-mix", (), base.classes, root, protocol="walls-2024", metrics=METRICS, compose=compose)


@dataset("stack-gen")
def stack_gen(root: Path | None, boxes: Path | None) -> Dataset:
    """A folder of generated images of two objects, one above the other (STACK-GEN), without labels or in class folders;
    ask its authors for theirs."""
    found = folder(root, boxes)
    return Dataset("stack-gen", found.samples, found.classes, found.root, "walls-2024", METRICS, found.remarks)


def stack_of(group: Group, interpolation: str) -> Image.Image:
    """The 224 × 224 image of two, 8-bit RGB."""
    upper, lower = (load_image(sample, "resize-crop", SIZE, interpolation) for sample in group)
    rows = SIZE - LOWER
    stack = torch.cat([middle(upper, rows), middle(lower, LOWER)], 1)
    result: Image.Image = TF.to_pil_image((stack * 255).round().to(torch.uint8))
    return result


def middle(image: torch.Tensor, rows: int) -> torch.Tensor:
    start = (image.shape[1] - rows) // 2
    return image[:, start : start + rows]
