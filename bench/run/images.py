"""The run's images: checked once, selected, cut into fixed chunks and decoded chunk by chunk."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from bench.core.dataset import Sample
from bench.core.errors import UsageError, plural, reason
from bench.core.files import write_atomic
from bench.data.manifest import build_manifest
from bench.data.pixels import ImageProblem, geometry, load_image, load_mask, map_boxes
from bench.data.selection import select
from bench.run.keys import ContentKeys, size_of
from bench.run.request import Request
from bench.scoring.sources import Item, Source

log = logging.getLogger(__name__)

NAMED = 5
"""A remark names so many images and counts the others."""


class Images:
    """One image set for every method: a file that cannot be decoded is named and left out for all."""

    def __init__(self, request: Request):
        """Choose `request.limit` images after `request.skip`, check every file. Raises UsageError when none is left."""
        self.request = request
        self.keys = ContentKeys(request)
        chosen = select(request.dataset, request.limit, request.seed, request.skip)
        self.samples = {sample.id: sample for sample in chosen.samples}
        manifest = build_manifest(chosen, request.progress)
        broken = manifest[manifest.problem != ""]
        self.left_out = len(broken)
        self._unreadable = unreadable(dict(zip(broken.id, broken.problem, strict=True)))
        self.table = manifest[manifest.problem == ""].reset_index(drop=True)
        if self.table.empty:
            raise UsageError(f"{request.dataset.name} has no readable image under {request.dataset.root}")
        self.gone: dict[str, str] = {}
        """Images that disappeared or changed during the run, and what became of them."""
        self._duplicates = duplicates(self.table)
        for remark in self._duplicates:
            log.warning("%s", remark)

    @property
    def ids(self) -> list[str]:
        result: list[str] = self.table.id.tolist()
        return result

    @property
    def has_boxes(self) -> bool:
        return any(self.samples[image].boxes for image in self.ids)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of the table must know about the images; printed under it."""
        before = (*self._duplicates, *self._unreadable)
        if not self.gone:
            return before
        named = listed([f"{image} ({why})" for image, why in self.gone.items()])
        return *before, f"{plural(len(self.gone), 'image')} left out during the run: {named}"

    @property
    def listed(self) -> pd.DataFrame:
        """The list of images as a table's folder has it."""
        return self.table.drop(columns="problem").assign(file=[self.file(image) for image in self.ids])

    def write(self, folder: Path) -> None:
        """`images.csv`: the image set, with digests."""
        write_atomic(folder / "images.csv", lambda path: self.listed.to_csv(path, index=False))

    def leave_out(self, gone: Mapping[str, str]) -> None:
        """Leave images out for every method from now on, by id and why; what is stored of them is not shown.

        Raises UsageError when none is left.
        """
        new = {image: why for image, why in gone.items() if image not in self.gone}
        if not new:
            return
        for image, why in new.items():
            log.warning("%s is left out: %s", self.samples[image].path, why)
        self.gone |= new
        self.left_out += len(new)
        self.table = self.table[~self.table.id.isin(new.keys())].reset_index(drop=True)
        if self.table.empty:
            raise UsageError(
                f"no image of {self.request.dataset.name} is left: all have disappeared or changed during the run; "
                "leave the files alone and run the same command again"
            )

    def score_keys(self, source: Source, table: pd.DataFrame | None = None) -> list[str]:
        """Content keys of a source's rows, for the whole list of images or a part of it."""
        return self.keys.score_keys(source, self.table if table is None else table, self.samples)

    def file(self, image: str) -> str:
        """An image's path below the data set's root, so that the list of images holds on another machine."""
        path, root = self.samples[image].path, self.request.dataset.root
        result: str = path.relative_to(root).as_posix() if root and path.is_relative_to(root) else path.name
        return result

    def chunks(self) -> Iterator[pd.DataFrame]:
        """Slices of `batch` images, in the order in which limits nest: the same slices in every run."""
        table = self.table
        for start in range(0, len(table), self.request.batch):
            yield table.iloc[start : start + self.request.batch]


def duplicates(table: pd.DataFrame) -> tuple[str, ...]:
    """A remark on files of one content, if there are any. Samples of one file, as of several classes, are none."""
    files = table.drop_duplicates("file")
    groups = [ids.tolist() for _, ids in files.groupby("digest", sort=False).id if len(ids) > 1]
    if not groups:
        return ()
    named = listed([" = ".join(group) for group in groups])
    return (f"the same image, byte for byte, is there more than once, and every copy counts: {named}",)


def unreadable(problems: Mapping[str, str]) -> tuple[str, ...]:
    """A remark on files that could not be decoded, by id and why, if there are any."""
    if not problems:
        return ()
    named = listed([f"{image} ({why})" for image, why in problems.items()])
    return (f"{plural(len(problems), 'file')} left out: {named}",)


def listed(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def load_items(
    request: Request, samples: Mapping[str, Sample], chunk: pd.DataFrame
) -> tuple[list[Item], dict[str, str]]:
    """The images of some rows of the list, decoded, on the classifier's device; `samples` by id.

    A file that is not what the list says any more, because it disappeared or was replaced, gives no item; the second
    part says why, by id.
    """
    items, gone = [], {}
    for row in chunk.itertuples():
        try:
            items.append(load_item(request, samples[row.id], row))
        except ImageProblem as problem:
            gone[row.id] = str(problem)
    return items, gone


def load_item(request: Request, sample: Sample, row: Any) -> Item:
    """One image of the list. Raises ImageProblem."""
    net, protocol = request.classifier, request.protocol
    way, size, own, photograph = protocol.pixels, net.input_size, protocol.own_size, size_of(row)
    image = load_image(sample, way, size, net.interpolation, own, row.digest).to(net.device, net.dtype)
    boxes = None
    if sample.boxes:
        boxes = map_boxes(sample.boxes, photograph, way, size, protocol.boxes == "clipped", own)
    mask = load_mask(open_mask(sample.mask), way, size, own) if sample.mask else None
    return Item(row.id, row.digest, image, sample.label, boxes, mask, photograph, geometry(*photograph, way, size, own))


def open_mask(mask: Callable[[], Image.Image]) -> Image.Image:
    try:
        return mask()
    except ImageProblem:
        raise
    except Exception as error:  # Pillow's plug-ins raise nearly anything on a broken file, and data sets may be yours
        raise ImageProblem(f"its mask cannot be read: {reason(error)}") from error
