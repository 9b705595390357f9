"""What is really in a data set: every file read once, before anything is computed."""

from __future__ import annotations

import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pandas as pd

from bench.core.dataset import Dataset, Sample
from bench.core.progress import progress as progress_bar
from bench.data.pixels import ImageProblem, decode, read_bytes

logger = logging.getLogger(__name__)

TYPES = {"id": str, "file": str, "label": "Int64", "class": str, "digest": str, "width": "Int64", "height": "Int64",
         "problem": str}  # fmt: skip


def build_manifest(dataset: Dataset, progress: bool = True) -> pd.DataFrame:
    """One row per sample, in their order: id, file, label, class, digest (sha256 of the file's bytes, hex), width and
    height (pixels after EXIF rotation), problem ("" if the file decodes fully, else the reason).

    A file with a problem is logged once; it is to be left out for every method. Missing values are <NA> or "".
    """
    with ThreadPoolExecutor(4) as pool:
        inspected = pool.map(inspect, dataset.samples)
        rows = list(
            progress_bar(
                inspected, "reading images", total=len(dataset.samples), unit="image", disable=not progress, leave=False
            )
        )
    for row in rows:
        row["class"] = "" if row["label"] is None or dataset.classes is None else dataset.classes[row["label"]]
        if row["problem"]:
            logger.warning("%s is left out: %s", row["file"], row["problem"])
    return pd.DataFrame(rows, columns=list(TYPES)).astype(TYPES)


def inspect(sample: Sample) -> dict[str, Any]:
    """A manifest's row of one sample, without its class name."""
    row = {"id": sample.id, "file": str(sample.path), "label": sample.label, "digest": "", "problem": "",
           "width": None, "height": None}  # fmt: skip
    try:
        data = read_bytes(sample.path)
        row["digest"] = hashlib.sha256(data).hexdigest()
        row["width"], row["height"] = decode(data).size
    except ImageProblem as problem:
        row["problem"] = str(problem)
    return row
