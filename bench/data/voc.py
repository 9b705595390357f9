"""Pascal VOC: several classes to an image, with object boxes and, for part of the images, masks."""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image
from torchvision.datasets import VOCDetection, VOCSegmentation
from torchvision.models.segmentation import FCN_ResNet50_Weights

from bench.core.dataset import Box, Dataset, Sample, dataset
from bench.core.errors import UsageError
from bench.core.ranges import within
from bench.data.boxes import refuse_normalised, with_boxes
from bench.data.folder import existing
from bench.data.pixels import ImageProblem, read_bytes

CLASSES = tuple(FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1.meta["categories"][1:])
LAYOUT = (
    "ROOT/VOCdevkit/VOC2012 with ImageSets/Main, JPEGImages, Annotations and, for masks, ImageSets/Segmentation and "
    "SegmentationClass"
)
VOID = 255


@dataset("voc")
def voc(
    root: Path | None, boxes: Path | None, *, year: Annotated[int, within(2007, 2012)] = 2012, split: str = "val"
) -> Dataset:
    """Pascal VOC (Everingham et al. 2010), one sample per image and class in it, `2007_000032/aeroplane`.

    Label: index of the class among the 20 in alphabetical order. Boxes: those of the class that are not marked
    difficult, and no sample where all are; pixels are counted from 1 and ends belong to the box there, hence
    (xmin - 1, ymin - 1, xmax, ymax) here. Mask, where the image is in the same split of the segmentation task: the
    class's pixels, void ones (outlines) to be ignored. `boxes`, a CSV with these ids, replaces the boxes.
    Raises UsageError for an unknown layout, year or split, and a malformed annotation.
    """
    root = existing(root, "voc", LAYOUT)
    try:
        images = VOCDetection(root, str(year), split)
    except (RuntimeError, ValueError, OSError) as error:
        raise UsageError(f"{root} holds no split {split!r} of VOC {year} ({error}); expected {LAYOUT}") from error
    masks = segmentations(root, year, split)
    samples = []
    for image, annotation in zip(map(Path, images.images), map(Path, images.annotations), strict=True):
        for name, found in read_objects(annotation).items():
            label = CLASSES.index(name)
            mask = VocMask.of(masks[image.stem], label + 1) if image.stem in masks else None
            samples.append(Sample(f"{image.stem}/{name}", image, label, found, mask))
    samples.sort(key=lambda sample: sample.id)
    refuse_normalised((sample.boxes or () for sample in samples), root)
    return Dataset("voc", replace_boxes(samples, boxes), CLASSES, root)


def segmentations(root: Path, year: int, split: str) -> dict[str, Path]:
    """Mask file by image name; none where the segmentation task is not there."""
    try:
        files = map(Path, VOCSegmentation(root, str(year), split).masks)
    except OSError:
        return {}
    return {file.stem: file for file in files if file.is_file()}


def read_objects(file: Path) -> dict[str, tuple[Box, ...]]:
    """Boxes by class of the objects that are not difficult. Raises UsageError."""
    found = defaultdict(list)
    try:
        for item in VOCDetection.parse_voc_xml(ElementTree.parse(file).getroot())["annotation"]["object"]:
            if item["name"] not in CLASSES:
                raise ValueError(f"no class {item['name']!r}")
            if item.get("difficult") != "1":
                found[item["name"]].append(corners(item["bndbox"]))
    except (OSError, ElementTree.ParseError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{file} is not an annotation of VOC ({type(error).__name__}: {error})") from error
    return {name: tuple(boxes) for name, boxes in found.items()}


def corners(box: dict[str, Any]) -> Box:
    """The box from 0 and with exclusive ends. Raises ValueError when it is inverted."""
    x0, y0, x1, y1 = float(box["xmin"]) - 1, float(box["ymin"]) - 1, float(box["xmax"]), float(box["ymax"])
    if not (x0 < x1 and y0 < y1):
        raise ValueError(f"inverted box {x0 + 1:g},{y0 + 1:g},{x1:g},{y1:g}")
    return x0, y0, x1, y1


def replace_boxes(samples: list[Sample], boxes: Path | None) -> tuple[Sample, ...]:
    """The samples with the boxes of a CSV, if one is given; a folder of VOC files raises UsageError."""
    if boxes is None:
        return tuple(samples)
    if boxes.is_dir():
        raise UsageError(
            f"--boxes {boxes}: a folder of box files does not tell the classes of an image apart; name a CSV with the "
            "columns image,x0,y0,x1,y1 whose images are ids such as 2007_000032/aeroplane"
        )
    return with_boxes(samples, boxes)


@dataclass(frozen=True)
class VocMask:
    """The pixels of one class in a segmentation of VOC."""

    file: Path = field(repr=False)
    value: int
    """The class's index in the file; 0 is background."""
    digest: str
    """sha256 of the file."""

    @classmethod
    def of(cls, file: Path, value: int) -> VocMask:
        return cls(file, value, hashlib.sha256(file.read_bytes()).hexdigest())

    def __call__(self) -> Image.Image:
        data = read_bytes(self.file)
        if hashlib.sha256(data).hexdigest() != self.digest:
            raise ImageProblem(f"its mask {self.file.name} has changed since the run began")
        with Image.open(io.BytesIO(data)) as image:
            values = np.asarray(image)
        return Image.fromarray(np.where(values == VOID, VOID, values == self.value).astype(np.uint8))
