"""The image files of a folder, and what lies beside them that is not read."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from PIL import Image

from bench.core.errors import UsageError, plural

EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm",
     ".jp2", ".avif"}
)  # fmt: skip
IMAGE_LIKE = frozenset(
    {".heic", ".heif", ".jxl", ".j2k", ".jpx", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".tga",
     ".exr", ".hdr", ".dcm", ".psd", ".svg", ".ico", ".qoi", ".xcf"}
)  # fmt: skip
"""Named as left out, besides what `mimetypes` calls an image: whoever has such files believes that they are used."""
JUNK = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"})
"""Folders of archivers and file systems, whose images are nobody's."""
NAMED = 5


@dataclass
class Listing:
    """Image files in sorted order, and a line for each reason for which others are left out."""

    files: list[Path] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    """Names by reason."""

    def leave_out(self, reason: str, path: str) -> None:
        self.left_out.setdefault(reason, []).append(printable(path))

    @property
    def remarks(self) -> tuple[str, ...]:
        return tuple(remark(names, reason) for reason, names in self.left_out.items())


def remark(names: list[str], reason: str) -> str:
    more = ", …" if len(names) > NAMED else ""
    return f"left out {plural(len(names), 'file')}: {', '.join(sorted(names)[:NAMED])}{more} ({reason})"


def printable(path: str) -> str:
    """In ASCII, bytes that are no UTF-8 and other letters as escapes, if it is not UTF-8."""
    return path if is_utf8(path) else os.fsencode(path).decode("ascii", "backslashreplace")


def is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:  # a byte that was not UTF-8 stands as half of a surrogate pair
        return False
    return True


@cache
def readable() -> frozenset[str]:
    """Those of EXTENSIONS that this machine's Pillow can open."""
    known = Image.registered_extensions()
    return frozenset(end for end in EXTENSIONS if known.get(end) in Image.OPEN)


def find_images(root: Path) -> Listing:
    """Every image file below `root`; links are followed, hidden files and folders left out.

    Left out with a word: names that are not UTF-8, which no table can hold; links to a folder that they lie in, below
    which there is no end; pipes, sockets and devices; and images of a format that is not read. Raises UsageError for a
    folder that cannot be read.
    """
    found = Listing()
    real = root.resolve()
    above = {identity(folder) for folder in (real, *real.parents)}
    for path in walk(root, str(root), above, found):
        found.files.append(Path(path))
    found.files.sort()
    return found


def identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def walk(root: Path, folder: str, above: set[tuple[int, int]], found: Listing) -> Iterator[str]:
    """Paths of image files; `above` are the folders that lead here."""
    for entry in entries(folder):
        name = os.path.relpath(entry.path, root)
        image = kind(entry.name)
        if entry.name.startswith(".") or entry.name in JUNK:
            continue
        if not is_utf8(entry.name):
            found.leave_out("the name is not UTF-8; rename it", name)
        elif is_folder(entry):
            if (own := identity(entry.path)) in above:
                found.leave_out("a link to a folder that it lies in", name)
            else:
                yield from walk(root, entry.path, above | {own}, found)
        elif image == "other":
            found.leave_out("formats that are not read; convert them, to PNG for instance", name)
        elif image == "image" and is_special(entry):
            found.leave_out("no regular files", name)
        elif image == "image":
            yield entry.path


def entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise UsageError(f"cannot read the folder {error.filename}: {error.strerror}") from error


def is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def is_special(entry: os.DirEntry[str]) -> bool:
    """Neither a file nor a link to nothing, which the list of images names as missing."""
    try:
        return not entry.is_file() and os.path.exists(entry.path)
    except OSError:
        return True


def kind(name: str) -> str:
    """`image`, `other` for an image of a format that is not read, or ""."""
    end = os.path.splitext(name)[1].lower()
    if end in readable():
        return "image"
    like = end in EXTENSIONS | IMAGE_LIKE or (mimetypes.guess_type(f"x{end}")[0] or "").startswith("image/")
    return "other" if like else ""


def names(files: list[Path], root: Path) -> list[str]:
    """Path below the root without extension, `cat/3`; with it where two files differ in nothing else."""
    stems = [file.relative_to(root).with_suffix("").as_posix() for file in files]
    count: dict[str, int] = {}
    for stem in stems:
        count[stem] = count.get(stem, 0) + 1
    return [
        stem if count[stem] == 1 else file.relative_to(root).as_posix()
        for stem, file in zip(stems, files, strict=True)
    ]  # fmt: skip
