"""The ILSVRC2012 validation set in the layouts in which people have it."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from torchvision.models import ResNet18_Weights

from bench.core.dataset import Box, Dataset, Sample, dataset
from bench.core.errors import UsageError
from bench.data.boxes import parse_box, read_voc, refuse_normalised, with_boxes
from bench.data.files import find_images, names
from bench.data.folder import existing
from bench.data.packages import package_folder

LAYOUT = (
    "ROOT/ILSVRC/Data/CLS-LOC/val/*.JPEG with ROOT/LOC_val_solution.csv or ROOT/ILSVRC/Annotations/CLS-LOC/val/*.xml; "
    "or ROOT/val/n01440764/*.JPEG"
)
SYNSET = re.compile(r"n\d{8}")


@dataset("imagenet")
def imagenet(root: Path | None, boxes: Path | None) -> Dataset:
    """ILSVRC2012 validation images (Russakovsky et al. 2015), in Kaggle's layout, whose root is the folder above ILSVRC
    or ILSVRC itself, or sorted into folders by synset, `val/n01440764/*.JPEG` or `n01440764/*.JPEG`.

    Label: position of the synset in LOC_synset_mapping.txt, without it the usual order (sorted synsets), also where
    only some of the 1000 folders exist. Boxes: of LOC_val_solution.csv, without it of the VOC files, in both cases as
    (xmin, ymin, xmax, ymax) raw, ends exclusive; `boxes` (a CSV or a folder of VOC files) replaces them.
    Raises UsageError for an unknown layout, an image without label and a malformed annotation.
    """
    root = existing(root, "imagenet", LAYOUT)
    bases = (root, root / "ILSVRC", root.absolute().parent)
    images = first(base / place for base in bases[:2] for place in ("Data/CLS-LOC/val", "val"))
    if images is None and any(SYNSET.fullmatch(entry.name) for entry in root.iterdir()):
        images = root
    if images is None:
        raise UsageError(f"{root} is not laid out as ImageNet; expected {LAYOUT}")
    listing = find_images(images)
    files = listing.files
    if not files:
        raise UsageError("; ".join([f"{images} holds no images", *listing.remarks, f"expected {LAYOUT}"]))

    synsets, classes = read_classes(first(base / "LOC_synset_mapping.txt" for base in bases))
    solution = first(base / "LOC_val_solution.csv" for base in bases)
    annotations = first(base / "Annotations/CLS-LOC/val" for base in bases[:2])
    known = checked_solution(solution) if solution else {}
    label_of = {synset: label for label, synset in enumerate(synsets)}
    samples = []
    for name, file in zip(names(files, images), files, strict=True):
        synset, found = annotation(file, known, annotations)
        if synset not in label_of:
            raise UsageError(f"no class is known for {file} (synset {synset}); expected {LAYOUT}")
        samples.append(Sample(name, file, label_of[synset], found))
    refuse_normalised((sample.boxes or () for sample in samples), solution or annotations or images)
    chosen = with_boxes(samples, boxes) if boxes else tuple(samples)
    return Dataset("imagenet", chosen, classes, root, remarks=listing.remarks)


def first(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if path.exists()), None)


def annotation(
    file: Path, known: Mapping[str, tuple[str, tuple[Box, ...]]], annotations: Path | None
) -> tuple[str | None, tuple[Box, ...] | None]:
    """Synset and boxes of one image: the solution file's, else the VOC file's, else the synset its folder is named."""
    if file.stem in known:
        return known[file.stem]
    parent = file.parent.name if SYNSET.fullmatch(file.parent.name) else None
    voc = annotations / f"{file.stem}.xml" if annotations else None
    if voc is None or not voc.is_file():
        return parent, None
    objects = read_voc(voc)
    synset = parent or next((name for name, _ in objects), None)
    return synset, tuple(box for name, box in objects if name == synset) or None


def read_classes(mapping: Path | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Synsets and class names in index order."""
    if mapping is None:
        synsets = (package_folder("timm") / "data/_info/imagenet_synsets.txt").read_text().split()
        return tuple(synsets), tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])
    lines = [line.split(maxsplit=1) for line in mapping.read_text(encoding="utf-8").splitlines() if line.strip()]
    return tuple(line[0] for line in lines), tuple(line[-1].split(",")[0] for line in lines)


def checked_solution(file: Path) -> dict[str, tuple[str, tuple[Box, ...]]]:
    """`read_solution`; raises UsageError for a file that is no CSV in UTF-8."""
    try:
        return read_solution(file)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{file} is not a CSV in UTF-8: {error}") from error


def read_solution(file: Path) -> dict[str, tuple[str, tuple[Box, ...]]]:
    """Image name to (synset, boxes) from Kaggle's LOC_val_solution.csv: `n01440764 x0 y0 x1 y1 n01440764 …`."""
    known = {}
    with file.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        if not {"ImageId", "PredictionString"} <= set(reader.fieldnames or ()):
            raise UsageError(f"{file} needs the columns ImageId,PredictionString")
        for row in reader:
            words = (row["PredictionString"] or "").split()
            where = f"{file}, line {reader.line_num}"
            if not words:
                raise UsageError(f"{where}: {row['ImageId']} has no class")
            boxes = tuple(parse_box(words[i + 1 : i + 5], None, where, row["ImageId"]) for i in range(0, len(words), 5))
            known[row["ImageId"]] = words[0], boxes
    return known
