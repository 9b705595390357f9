"""The contract of a data set: named samples with optional labels and object boxes."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from PIL import Image

from bench.core.errors import FOREIGN_ERRORS, UsageError, foreign, reason
from bench.core.registry import Registry

if TYPE_CHECKING:
    from bench.core.classifier import Classifier

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Sample:
    """One image file and what is known of it."""

    id: str
    """Unique in its data set and stable: the file's path below the root, without extension."""
    path: Path
    label: int | None = None
    boxes: tuple[Box, ...] | None = None
    """x0, y0, x1, y1 in pixels of the original image, after EXIF rotation, ends exclusive; None without annotation."""
    mask: Callable[[], Image.Image] | None = None
    """Opens the object mask, mode L at the original image's size: 0 background, 1 object, 255 to be ignored.
    Its `repr` identifies it in content keys: make it a frozen dataclass with `__call__`."""

    @property
    def annotation(self) -> tuple[Any, ...]:
        """All that metrics may see besides the pixels, for content keys."""
        return self.label, self.boxes, repr(self.mask)


@dataclass(frozen=True)
class Dataset:
    """Samples in the order of their ids. Raises UsageError when two samples have the same id."""

    name: str
    samples: tuple[Sample, ...]
    classes: tuple[str, ...] | None = None
    """Class names by label, or None for unlabelled images."""
    root: Path | None = None
    protocol: str = "clean"
    """The protocol that these images are meant for, unless the user names another."""
    metrics: str = ""
    """Columns of the table unless the user names others, as on the command line; empty for the usual ones."""
    remarks: tuple[str, ...] = ()
    """What a reader of the table must know about the images and labels; printed under it."""
    compose: Callable[[Classifier], tuple[Dataset, Classifier]] | None = None
    """For a data set that depends on the classifier: called once it is loaded, gives the data set proper and the
    classifier to explain on it."""

    def has(self, annotation: Literal["boxes", "masks"]) -> bool:
        """Whether some sample has it."""
        field = {"boxes": "boxes", "masks": "mask"}[annotation]
        return any(getattr(sample, field) for sample in self.samples)

    def __post_init__(self) -> None:
        for sample_id, count in Counter(sample.id for sample in self.samples).items():
            if count > 1:
                raise UsageError(f"data set {self.name!r}: {count} images have the id {sample_id!r}; rename one")


Loader = Callable[..., Dataset]
"""`fn(root, boxes, **parameters) -> Dataset`; root and boxes are paths or None."""

DATASETS: Registry[Loader] = Registry("data set", "cambench.datasets")

F = TypeVar("F", bound=Loader)


def dataset(name: str) -> Callable[[F], F]:
    """Register a function (root: Path | None, boxes: Path | None) -> Dataset. Returns the function unchanged."""

    def register(function: F) -> F:
        DATASETS.add(name, function, signature_of=function)
        return function

    return register


def load_dataset(name: str, root: str | Path | None = None, boxes: str | Path | None = None) -> Dataset:
    """The data set of a spec, `folder` or `my-set(split=val)`.

    Raises UsageError for an unknown name, a root that is missing or laid out otherwise, and bad boxes.
    """
    spec = DATASETS.spec(name)
    paths = [None if path is None else Path(path).expanduser() for path in (root, boxes)]
    try:
        found = spec.value(*paths, **spec.params)
    except (UsageError, OSError):
        raise
    except FOREIGN_ERRORS as error:
        if not foreign(error):
            raise
        raise UsageError(f"data set {spec.label} cannot be loaded: {reason(error)}") from error
    check(found, spec.label)
    return dataclasses.replace(found, name=spec.label)


def check(found: object, name: str) -> None:
    """Raises UsageError for what is no data set, or has samples that are none."""
    if not isinstance(found, Dataset):
        raise UsageError(f"data set {name} gives a {type(found).__name__}, not a Dataset")
    for sample in found.samples:
        label = sample.label
        if not isinstance(sample.path, Path):
            raise UsageError(f"data set {name}: the path of {sample.id} is a {type(sample.path).__name__}, not a Path")
        if label is not None and (not isinstance(label, int) or label < 0):
            raise UsageError(f"data set {name}: the label of {sample.id} is {label!r}, not a class index from 0 on")
