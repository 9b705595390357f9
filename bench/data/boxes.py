"""Object boxes from a CSV or from a folder of VOC XML files."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ElementTree
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path

from bench.core.dataset import Box, Sample
from bench.core.errors import UsageError, suggest
from bench.data.pixels import image_size

COLUMNS = ("x0", "y0", "x1", "y1")
NORMALISED = 0.5
"""Share of the image's side by which boxes in 0 … 1 may reach beyond it, and still be recognised as such."""


def with_boxes(samples: Iterable[Sample], source: Path, others: bool = False) -> tuple[Sample, ...]:
    """The samples with the boxes of `source`: a CSV (columns image,x0,y0,x1,y1; the image as id or as path below the
    root, further columns are ignored) or a folder with a VOC file of each image, ID.xml or, where file names
    are unique, FILE.xml.

    Pixels of the original image after EXIF rotation, ends exclusive; a VOC file's xmin, ymin, xmax, ymax are taken raw,
    as the localisation code of CASM (Zolna et al. 2020) does. An image without a line or file keeps its boxes.
    With `others` a CSV may have lines of further images, which are passed over.
    Raises UsageError for an unreadable source, an unknown image, and a box that is inverted or wholly outside.
    """
    samples = tuple(samples)
    if source.is_dir():
        found = read_voc_folder(source, samples)
    elif source.is_file():
        try:
            found = read_csv(source, samples, others)
        except (UnicodeDecodeError, csv.Error) as error:
            raise UsageError(f"{source} is not a CSV in UTF-8: {error}") from error
    else:
        raise UsageError(f"no such boxes file or folder: {source}")
    return tuple(replace(s, boxes=found.get(s.id, s.boxes)) for s in samples)


def read_csv(file: Path, samples: Iterable[Sample], others: bool = False) -> dict[str, tuple[Box, ...]]:
    """Boxes by sample id."""
    by_name = {name: sample for sample in samples for name in (sample.id, sample.id + sample.path.suffix)}
    by_name |= {sample.id: sample for sample in by_name.values()}
    sizes: dict[str, tuple[int, int] | None] = {}
    found = defaultdict(list)
    with file.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream, skipinitialspace=True)
        missing = [name for name in ("image", *COLUMNS) if name not in (reader.fieldnames or ())]
        if missing:
            raise UsageError(f"{file} lacks the columns {', '.join(missing)}; it needs image,x0,y0,x1,y1")
        for row in reader:
            where = f"{file}, line {reader.line_num}"
            if others and row["image"] not in by_name:
                continue
            sample = find(by_name, row, where)
            if sample.id not in sizes:
                sizes[sample.id] = image_size(sample.path)
            found[sample.id].append(parse_box([row[name] for name in COLUMNS], sizes[sample.id], where, sample.id))
    refuse_normalised(found.values(), file)
    if others and not found:
        raise UsageError(f"{file} has no line of {', '.join(by_name)}; its column image holds ids or paths")
    return {sample_id: tuple(boxes) for sample_id, boxes in found.items()}


def refuse_normalised(boxes: Iterable[Iterable[Box]], where: str | Path) -> None:
    """Raises UsageError where all boxes lie within the first pixel."""
    ends = [number for group in boxes for box in group for number in box]
    if ends and all(-NORMALISED < number <= 1 + NORMALISED for number in ends):
        raise UsageError(
            f"{where}: all boxes lie within 0 … 1; are they normalised? Boxes are in pixels: multiply x by the image's "
            "width and y by its height"
        )


def find(by_name: Mapping[str, Sample], row: Mapping[str, str], where: str) -> Sample:
    try:
        return by_name[row["image"]]
    except KeyError:
        raise UsageError(f"{where}: no image {row['image']!r}; {suggest(row['image'] or '', by_name)}") from None


def read_voc_folder(folder: Path, samples: Sequence[Sample]) -> dict[str, tuple[Box, ...]]:
    """Boxes by sample id, of whatever class."""
    uses = Counter(sample.path.stem for sample in samples)
    found = {}
    for sample in samples:
        names = [sample.id] + [sample.path.stem] * (uses[sample.path.stem] == 1)
        file = next((file for name in names if (file := folder / f"{name}.xml").is_file()), None)
        if file and (objects := read_voc(file)):
            found[sample.id] = tuple(box for _, box in objects)
    refuse_normalised(found.values(), folder)
    if not found:
        raise UsageError(f"{folder} holds no box file of these images; it needs one ID.xml (VOC) per image")
    return found


def read_voc(file: Path) -> tuple[tuple[str, Box], ...]:
    """(name, box) of a VOC file's objects. Raises UsageError for a bad box."""
    try:
        objects = ElementTree.parse(file).getroot().findall("object")
    except ElementTree.ParseError as error:
        raise UsageError(f"{file} is not a VOC XML file: {error}") from error
    corners = [f"bndbox/{corner}" for corner in ("xmin", "ymin", "xmax", "ymax")]
    return tuple(
        (item.findtext("name", ""), parse_box([item.findtext(name) for name in corners], None, file, file.stem))
        for item in objects
    )


def parse_box(texts: Iterable[str | None], size: tuple[int, int] | None, where: str | Path, sample_id: str) -> Box:
    """A box from its four texts, checked to be upright and, where the image's size is known, to touch the image."""
    try:
        x0, y0, x1, y1 = (float(text or "") for text in texts)
    except ValueError:
        raise UsageError(f"{where}: the box of {sample_id} needs four numbers x0,y0,x1,y1") from None
    if not (-inf < x0 < x1 < inf and -inf < y0 < y1 < inf):
        raise UsageError(f"{where}: the box of {sample_id} is inverted or empty, {x0:g},{y0:g},{x1:g},{y1:g}")
    if size and (x1 <= 0 or y1 <= 0 or x0 >= size[0] or y0 >= size[1]):
        raise UsageError(
            f"{where}: the box of {sample_id} lies outside the image of {size[0]} × {size[1]} pixels, "
            f"{x0:g},{y0:g},{x1:g},{y1:g}"
        )
    return x0, y0, x1, y1
