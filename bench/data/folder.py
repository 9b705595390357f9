"""Any tree of images, a folder per class, or a flat folder without labels."""

from __future__ import annotations

from pathlib import Path

from bench.core.dataset import Dataset, Sample, dataset
from bench.core.errors import UsageError
from bench.data.boxes import with_boxes
from bench.data.files import find_images, is_utf8, names, printable


@dataset("folder")
def folder(root: Path | None, boxes: Path | None) -> Dataset:
    """An ImageFolder tree, ROOT/CLASS/**/IMAGE: the label is the index of the folder's name in sorted order, until
    `bench.data.labels` finds the network's class of that name. A folder without images is no class. A folder without
    sub-folders: no labels.

    `boxes` is a CSV image,x0,y0,x1,y1 or a folder of VOC files, see `bench.data.boxes`. Raises UsageError when the
    root is missing or holds no image, or where a tree has images beside the class folders.
    """
    root = existing(root, "folder", "ROOT/CLASS/IMAGE.jpg, or ROOT/IMAGE.jpg without labels")
    found = find_images(root)
    files = found.files
    if not files:
        expected = "expected ROOT/CLASS/IMAGE.jpg, or ROOT/IMAGE.jpg without labels"
        raise UsageError("; ".join([f"{root} holds no images", *found.remarks, expected]))
    loose = [file for file in files if file.parent == root]
    if loose and len(loose) < len(files):
        raise UsageError(f"{loose[0].name} lies beside the class folders of {root}; move it into one of them")
    classes = () if loose else tuple(sorted({file.relative_to(root).parts[0] for file in files}))
    label_of = {name: label for label, name in enumerate(classes)}
    samples = tuple(
        Sample(name, file, label_of[file.relative_to(root).parts[0]] if classes else None)
        for name, file in zip(names(files, root), files, strict=True)
    )
    if boxes is not None:
        samples = with_boxes(samples, boxes)
    return Dataset("folder", samples, classes or None, root, remarks=found.remarks)


def existing(root: Path | None, name: str, layout: str) -> Path:
    """`root`, or UsageError with the expected layout when it is not given or not a folder."""
    if root is None:
        raise UsageError(f"data set {name!r} needs --data-root; expected {layout}")
    if not is_utf8(str(root)):
        raise UsageError(
            f"the name of --data-root {printable(str(root))} is not UTF-8, which no table can hold; rename it"
        )
    if not root.is_dir():
        raise UsageError(f"no such folder: {root}; data set {name!r} expects {layout}")
    return root
