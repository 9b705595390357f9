"""Single image files that the command line names, as a data set without labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bench.core.dataset import Dataset, Sample
from bench.core.errors import UsageError
from bench.data.boxes import with_boxes
from bench.data.files import is_utf8, names, printable
from bench.data.pixels import ImageProblem, open_image


def photographs(files: Sequence[Path], boxes: Path | None = None) -> Dataset:
    """The files, each once, in the order of their paths. An image's id is its file's name without extension; folders
    stand before it where the files lie in several.

    `boxes` may hold those of other images too. Raises UsageError for a file that is missing, a folder or no image.
    """
    chosen = sorted(dict.fromkeys(file.absolute() for file in files))
    for file in chosen:
        check(file)
    root = Path(os.path.commonpath([file.parent for file in chosen]))
    samples = tuple(Sample(name, file) for name, file in zip(names(chosen, root), chosen, strict=True))
    return Dataset("photographs", with_boxes(samples, boxes, others=True) if boxes else samples, root=root)


def check(file: Path) -> None:
    if not is_utf8(str(file)):
        raise UsageError(f"--image {printable(str(file))}: the name is not UTF-8, which no table can hold; rename it")
    if file.is_dir():
        raise UsageError(f"--image {file} is a folder; name image files, or use --data folder --data-root {file}")
    try:
        open_image(file)
    except ImageProblem as problem:
        raise UsageError(f"--image {file}: {problem}") from None
