"""Any tree of images, a folder per class, or a flat folder without labels."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from bench.core.dataset import Dataset, Sample, dataset
from bench.core.errors import UsageError
from bench.data.boxes import with_boxes

EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm"}
)  # fmt: skip


@dataset("folder")
def folder(root: Path | None, boxes: Path | None) -> Dataset:
    """An ImageFolder tree, ROOT/CLASS/**/IMAGE: the label is the index of the folder's name in sorted order (empty
    folders count, as they may stand for classes that a network knows). A folder without sub-folders: no labels.

    `boxes` is a CSV image,x0,y0,x1,y1 or a folder of VOC files, see `bench.data.boxes`. Raises UsageError when the
    root is missing or holds no image, or where a tree has images beside the class folders.
    """
    root = existing(root, "folder", "ROOT/CLASS/IMAGE.jpg, or ROOT/IMAGE.jpg without labels")
    classes = tuple(sorted(entry.name for entry in root.iterdir() if entry.is_dir() and entry.name[0] != "."))
    label_of = {name: label for label, name in enumerate(classes)}
    files = image_files(root)
    if not files:
        raise UsageError(f"{root} holds no images; expected ROOT/CLASS/IMAGE.jpg, or ROOT/IMAGE.jpg without labels")
    loose = next((file for file in files if file.parent == root), None)
    if classes and loose and any(file.parent != root for file in files):
        raise UsageError(f"{loose.name} lies beside the class folders of {root}; move it into one of them")
    labelled = loose is None
    samples = tuple(
        Sample(name, file, label_of[file.relative_to(root).parts[0]] if labelled else None)
        for name, file in zip(names(files, root), files, strict=True)
    )
    if boxes is not None:
        samples = with_boxes(samples, boxes)
    return Dataset("folder", samples, classes if labelled else None, root)


def existing(root: Path | None, name: str, layout: str) -> Path:
    """`root`, or UsageError with the expected layout when it is not given or not a folder."""
    if root is None:
        raise UsageError(f"data set {name!r} needs --data-root; expected {layout}")
    if not root.is_dir():
        raise UsageError(f"no such folder: {root}; data set {name!r} expects {layout}")
    return root


def image_files(root: Path) -> list[Path]:
    """Every image file below `root`, sorted; links are followed, hidden files and folders left out."""
    found = []
    for directory, folders, files in os.walk(root, onerror=refuse, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(directory, name)
            for name in files
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in EXTENSIONS
        ]
    return sorted(found)


def refuse(error: OSError) -> None:
    raise UsageError(f"cannot read the folder {error.filename}: {error.strerror}") from error


def names(files: list[Path], root: Path) -> list[str]:
    """Path below the root without extension, `cat/3`; with it where two files differ in nothing else."""
    stems = [file.relative_to(root).with_suffix("").as_posix() for file in files]
    count = Counter(stems)
    return [
        stem if count[stem] == 1 else file.relative_to(root).as_posix()
        for stem, file in zip(stems, files, strict=True)
    ]  # fmt: skip
