"""The run's images: checked once, selected, cut into fixed chunks and decoded chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import torch

from bench.core.dataset import Sample
from bench.core.errors import UsageError
from bench.data.manifest import build_manifest
from bench.data.pixels import load_image, load_mask, map_boxes
from bench.data.selection import select
from bench.request import Request
from bench.sources import Item
from bench.store import write_atomic


class Images:
    """One image set for every method: a file that cannot be decoded is named and left out for all."""

    def __init__(self, request: Request):
        """Choose `request.limit` images after `request.skip`, check every file. Raises UsageError when none is left."""
        self.request = request
        chosen = select(request.dataset, request.limit, request.seed, request.skip)
        self.samples = {sample.id: sample for sample in chosen.samples}
        manifest = build_manifest(chosen)
        self.left_out = int((manifest.problem != "").sum())
        self.table = manifest[manifest.problem == ""].reset_index(drop=True)
        if self.table.empty:
            raise UsageError(f"{request.dataset.name} has no readable image under {request.dataset.root}")
        self.remarks: tuple[str, ...] = ()
        """What a reader of the table must know about the images; printed under it."""
        self.ids = self.table.id.tolist()
        self.has_boxes = any(self.samples[image].boxes for image in self.ids)

    @property
    def listed(self) -> pd.DataFrame:
        """The list of images as a table's folder has it."""
        return self.table.drop(columns="problem").assign(file=[self.file(image) for image in self.ids])

    def write(self, folder: Path) -> None:
        """`images.csv`: the image set, with digests."""
        write_atomic(folder / "images.csv", lambda path: self.listed.to_csv(path, index=False))

    def file(self, image: str) -> str:
        """An image's path below the data set's root, so that the list of images holds on another machine."""
        path, root = self.samples[image].path, self.request.dataset.root
        return path.relative_to(root).as_posix() if root and path.is_relative_to(root) else path.name

    def chunks(self) -> Iterator[pd.DataFrame]:
        """Slices of `batch` images, in the order in which limits nest: the same slices in every run."""
        for start in range(0, len(self.table), self.request.batch):
            yield self.table.iloc[start : start + self.request.batch]


def load_items(request: Request, samples: Mapping[str, Sample], chunk: pd.DataFrame) -> list[Item]:
    """The images of some rows of the list, decoded, on the classifier's device; `samples` by id."""
    net, pixels = request.classifier, request.protocol.pixels
    rounded = request.protocol.boxes == "clipped"
    items = []
    for row in chunk.itertuples():
        sample = samples[row.id]
        image = load_image(sample, pixels, net.input_size, net.interpolation).to(net.device, net.dtype)
        boxes = None
        if sample.boxes:
            boxes = map_boxes(sample.boxes, (int(row.width), int(row.height)), pixels, net.input_size, rounded)
        mask = load_mask(sample.mask(), pixels, net.input_size) if sample.mask else None
        items.append(Item(row.id, row.digest, torch.as_tensor(image), sample.label, boxes, mask))
    return items
