"""Rows that object boxes alone decide: explainers whose map is the same for every image, without any image."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from bench.core.dataset import Box
from bench.core.errors import UsageError
from bench.core.explainer import Explainer
from bench.core.metric import Case, MapMetric, Metric, Shared
from bench.core.progress import progress
from bench.core.protocols import Protocol
from bench.core.spec import Spec
from bench.data.boxes import parse_box
from bench.data.pixels import map_boxes
from bench.paper.measured import MeasuredRows, statistics
from bench.scoring.evaluate import as_value, columns
from bench.scoring.normalise import normalise

SIZE = 224
BOXES, SIZES = "localization.txt", "image_sizes.txt"


def is_geometry(folder: Path | None) -> bool:
    """Whether a folder holds boxes and sizes in the text files of wsolevaluation."""
    return folder is not None and (folder / BOXES).is_file() and (folder / SIZES).is_file()


def read_geometry(folder: Path) -> dict[str, tuple[tuple[int, int], tuple[Box, ...]]]:
    """Image name to its (width, height) and boxes, from `image_sizes.txt` (name,width,height) and `localization.txt`
    (name,x0,y0,x1,y1, original pixels), the metadata of clovaai/wsolevaluation.

    Images without a box are left out. Raises UsageError for a malformed line and a box of an unknown image.
    """
    sizes, boxes = {}, defaultdict(list)
    for where, (name, *numbers) in records(folder / SIZES, 3):
        width, height = (int(number) if number.isdecimal() else 0 for number in numbers)
        if not (width and height):
            raise UsageError(f"{where}: width and height must be positive whole numbers")
        sizes[name] = width, height
    for where, (name, *numbers) in records(folder / BOXES, 5):
        if name not in sizes:
            raise UsageError(f"{where}: {SIZES} has no image {name!r}")
        boxes[name].append(parse_box(numbers, None, where, name))
    return {name: (sizes[name], tuple(found)) for name, found in boxes.items()}


def records(file: Path, fields: int) -> list[tuple[str, list[str]]]:
    """(where, fields) of every line of a comma-separated file."""
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        parts = line.strip().split(",")
        if len(parts) != fields:
            raise UsageError(f"{file}, line {number}: expected {fields} fields separated by commas")
        found.append((f"{file}, line {number}", parts))
    return found


def measure(
    folder: Path, specs: Sequence[Spec[Explainer]], metrics: Sequence[Metric], protocol: Protocol, seed: int = 0
) -> MeasuredRows:
    """Box metrics of explainers that are `blind`, at 224 × 224 pixels."""
    known = read_geometry(folder)
    usable = [metric for metric in metrics if isinstance(metric, MapMetric) and metric.needs == "boxes"]
    blind = [spec for spec in specs if spec.value.blind]
    blank, nothing = torch.zeros(3, SIZE, SIZE), torch.zeros(3)
    rows: list[dict[str, Any]] = []
    for spec in blind:
        raw = spec.value.function(None, blank[None], torch.zeros(1, dtype=torch.int64), **spec.params)
        order = spec.value.map_order(**spec.params) if protocol.maps == "paper" else protocol.maps
        saliency, shared = normalise(raw, SIZE, order)[0][0], Shared()
        for name, (size, boxes) in progress(known.items(), spec.label, unit="image", dynamic_ncols=True):
            mapped = map_boxes(boxes, size, protocol.pixels, SIZE, protocol.boxes == "clipped", protocol.own_size)
            case = Case(blank, saliency, raw[0], 0, None, protocol, nothing, seed, boxes=mapped, shared=shared)
            values = {metric.name: as_value(metric.function(case)) for metric in usable}
            rows.append({"method": spec.label, "image": name, "right": None} | columns(values))
    labels = [spec.label for spec in blind]
    cells, differences = statistics(pd.DataFrame(rows), labels, usable, seed) if rows else ({}, {})
    digest = hashlib.sha256((folder / SIZES).read_bytes() + (folder / BOXES).read_bytes()).hexdigest()
    boxes_count = sum(len(found) for _, found in known.values())
    facts = (f"no image, no network: {boxes_count} boxes of {len(known)} images, sha256 {digest}",)
    return MeasuredRows(cells, differences, {}, len(known), facts)
