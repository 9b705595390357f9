"""Microsoft COCO: several categories to an image, with object boxes and masks."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from torchvision.datasets import CocoDetection

from bench.core.dataset import Box, Dataset, Sample, dataset
from bench.core.errors import UsageError, reason
from bench.core.seeds import content_hash
from bench.data.boxes import refuse_normalised
from bench.data.folder import existing
from bench.data.voc import replace_boxes

if TYPE_CHECKING:
    from pycocotools.coco import COCO

LAYOUT = "ROOT/val2017/*.jpg with ROOT/annotations/instances_val2017.json"
IGNORED = 255


@dataset("coco")
def coco(root: Path | None, boxes: Path | None, *, split: str = "val2017") -> Dataset:
    """COCO (Lin et al. 2014), one sample per image and category in it, `000000000139/potted-plant`.

    Label: position of the category's id among the sorted ids (80 classes). Boxes and mask: of the category's objects;
    a crowd of it gives no box, its region is to be ignored (where no object covers it), and a crowd alone no sample.
    `boxes`, a CSV with these ids, replaces the boxes. Raises UsageError for an unknown layout or split.
    """
    root = existing(root, "coco", LAYOUT)
    annotations = root / "annotations" / f"instances_{split}.json"
    if not annotations.is_file() or not (root / split).is_dir():
        raise UsageError(f"{root} holds no split {split!r} of COCO; expected {LAYOUT}")
    index = read_index(root / split, annotations)
    label_of = {category: label for label, category in enumerate(sorted(index.cats))}
    classes = tuple(index.cats[category]["name"] for category in label_of)
    samples = []
    for image in index.imgs.values():
        file = root / split / image["file_name"]
        try:
            for category, items in by_category(index.imgToAnns.get(image["id"], ())).items():
                label = label_of[category]
                if found := object_boxes(items):
                    name = f"{file.stem}/{classes[label].replace(' ', '-')}"
                    samples.append(Sample(name, file, label, found, CocoMask(index, items, content_hash(*items))))
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{annotations}: the objects of {file.name} cannot be read ({reason(error)})") from error
    samples.sort(key=lambda sample: sample.id)
    refuse_normalised((sample.boxes or () for sample in samples), annotations)
    return Dataset("coco", replace_boxes(samples, boxes), classes, root)


def read_index(images: Path, annotations: Path) -> COCO:
    """pycocotools' index of an annotation file, without its reports on standard output."""
    try:
        with redirect_stdout(io.StringIO()):
            return CocoDetection(images, str(annotations)).coco
    except (ValueError, AssertionError, KeyError, TypeError) as error:
        raise UsageError(
            f"{annotations} is not an annotation file of COCO ({type(error).__name__}: {error}); download it again"
        ) from error


def by_category(items: Sequence[dict[str, Any]]) -> dict[int, tuple[dict[str, Any], ...]]:
    found = defaultdict(list)
    for item in items:
        found[item["category_id"]].append(item)
    return {category: tuple(group) for category, group in found.items()}


def object_boxes(items: Sequence[dict[str, Any]]) -> tuple[Box, ...]:
    """Boxes of what is no crowd; COCO's x, y, width, height count from 0. Empty boxes, of which it has a few, are left
    out."""
    corners = [item["bbox"] for item in items if not item["iscrowd"]]
    return tuple((x, y, x + width, y + height) for x, y, width, height in corners if width > 0 and height > 0)


@dataclass(frozen=True)
class CocoMask:
    """The objects of one category in one image."""

    index: COCO = field(repr=False)
    items: tuple[dict[str, Any], ...] = field(repr=False)
    digest: str
    """Hash of the items."""

    def __call__(self) -> Image.Image:
        image = self.index.imgs[self.items[0]["image_id"]]
        mask = np.zeros((image["height"], image["width"]), np.uint8)
        for item in sorted(self.items, key=lambda item: item["iscrowd"], reverse=True):  # objects over crowds
            mask[self.index.annToMask(item) == 1] = IGNORED if item["iscrowd"] else 1
        return Image.fromarray(mask)
