"""Data sets from Python: `load_dataset`."""

from __future__ import annotations

from pathlib import Path

from bench.core import dataset
from bench.core.dataset import Dataset
from bench.plugins import register


def load_dataset(name: str, root: str | Path | None = None, boxes: str | Path | None = None) -> Dataset:
    """The data set of a spec, `samples`, `folder` or `my-set(split=val)`, in the folder `root`; `boxes` is a CSV or a
    folder of VOC files with object boxes where the set does not bring its own.

    Raises UsageError for an unknown name, a root that is missing or laid out otherwise, and bad boxes.

    >>> len(load_dataset("samples").samples)
    20
    """
    register()
    return dataset.load_dataset(name, root, boxes)
