"""From an image file to the classifier's pixels, and boxes along the same way."""

from __future__ import annotations

import hashlib
import io
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torchvision.transforms.functional as TF
from PIL import Image, UnidentifiedImageError
from torchvision.transforms import InterpolationMode

from bench.core.dataset import Box, Sample
from bench.core.protocols import OwnSize, Pixels

MAX_PIXELS = 178_956_970
"""Largest image that is decoded: Pillow's own limit against decompression bombs (512 MiB as RGB)."""
MAX_ASPECT = 100
"""Longest side ratio: the short side is scaled to the input size, so a 1 × 60000 strip would need gigabytes."""

ORIENTATION = 0x0112  # EXIF tag
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageProblem(Exception):
    """A file that cannot be shown to a classifier; the message is the reason, without the file's name."""


def open_image(path: Path) -> Image.Image:
    """The file fully decoded, see `decode`. Raises ImageProblem."""
    return decode(read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """A file's bytes. Raises ImageProblem for one that is missing, cannot be read or is not a regular file: opening a
    pipe would wait for ever."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ImageProblem("cannot be read: not a regular file")
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageProblem("file not found") from None
    except OSError as error:
        raise ImageProblem(f"cannot be read: {error.strerror}") from None


def decode(data: bytes) -> Image.Image:
    """The bytes of an image file as 8-bit RGB, turned as EXIF says.

    16-bit grey is scaled by 255/65535, transparent pixels are laid on black (the value of masked-out pixels), CMYK and
    palettes are converted by Pillow, of an animation the first frame is taken. Raises ImageProblem.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            check_size(*image.size)
            image.load()
            # After loading: Pillow turns TIFFs itself and then drops the tag.
            turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
            rgb = to_rgb(image)
            return rgb if turn is None else rgb.transpose(turn)
    except ImageProblem:
        raise
    except Exception as error:  # Pillow's plug-ins raise nearly anything on a broken file
        raise ImageProblem(describe(data, error)) from error


def describe(data: bytes, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"too large: more than {MAX_PIXELS} pixels"
    if not data:
        return "empty file"
    if isinstance(error, UnidentifiedImageError):
        return "not an image that Pillow can read"
    return f"cannot be decoded: {error or type(error).__name__}"


def check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageProblem(f"too large: {width} × {height} is more than {MAX_PIXELS} pixels")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageProblem(f"too elongated: {width} × {height} is beyond 1:{MAX_ASPECT}")


def image_size(path: Path) -> tuple[int, int] | None:
    """(width, height) after EXIF rotation, from the header alone; None when it cannot be read."""
    if not path.is_file():
        return None
    try:
        with Image.open(path) as image:
            # Pillow has already swapped a TIFF's size.
            swapped = image.format != "TIFF" and image.getexif().get(ORIENTATION) in (5, 6, 7, 8)
            return image.size[::-1] if swapped else image.size
    except Exception:  # the manifest will say what is wrong with it
        return None


def to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ImageProblem("32-bit pixels have no fixed white; save it with 8 or 16 bits")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ImageProblem("floating-point pixels have no fixed white; save it with 8 or 16 bits")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "black"), layer).convert("RGB")
    return image.convert("RGB")


class Geometry(NamedTuple):
    """Resize to `width` × `height`, then cut `size` × `size` at (`left`, `top`)."""

    width: int
    height: int
    left: int
    top: int
    size: int


def geometry(width: int, height: int, pixels: Pixels, size: int, own_size: OwnSize = "as-is") -> Geometry:
    """The transform of a `width` × `height` image, with torchvision's rounding.

    resize-crop: short side to round(size · 256/224), centre crop; fit-crop: short side to `size`, centre crop; squash:
    both sides to `size`. The long side is truncated to an integer, the crop's offset is int(round((long - size) / 2)).
    An image of `size` × `size` keeps its pixels under `own_size` "as-is".
    """
    if pixels == "squash" or (own_size == "as-is" and width == height == size):
        return Geometry(size, size, 0, 0, size)
    short = {"resize-crop": round(size * 256 / 224), "fit-crop": size}[pixels]
    long = int(short * max(width, height) / min(width, height))
    new_width, new_height = (short, long) if width <= height else (long, short)
    return Geometry(new_width, new_height, round((new_width - size) / 2.0), round((new_height - size) / 2.0), size)


def load_image(
    sample: Sample,
    pixels: Pixels,
    size: int,
    interpolation: str,
    own_size: OwnSize = "as-is",
    digest: str | None = None,
) -> torch.Tensor:
    """(3, size, size) float32 in [0, 1], resized with antialiasing. Raises ImageProblem for a file that cannot be used,
    and where `digest`, the sha256 of the file's bytes in hex, is given and not theirs.

    `interpolation` is torchvision's name, "bilinear" or "bicubic". Equal to torchvision's Resize, CenterCrop, ToTensor
    on the decoded image.
    """
    data = read_bytes(sample.path)
    if digest is not None and hashlib.sha256(data).hexdigest() != digest:
        raise ImageProblem("its bytes have changed since the run began")
    return prepared(decode(data), pixels, size, interpolation, own_size)


def prepared(
    image: Image.Image, pixels: Pixels, size: int, interpolation: str, own_size: OwnSize = "as-is"
) -> torch.Tensor:
    """(3, size, size) float32 in [0, 1]: an RGB image resized and cropped, see `load_image`."""
    to = geometry(*image.size, pixels, size, own_size)
    resized = TF.resize(image, [to.height, to.width], InterpolationMode(interpolation))
    tensor: torch.Tensor = TF.to_tensor(TF.crop(resized, to.top, to.left, size, size))
    return tensor


def load_mask(mask: Image.Image, pixels: Pixels, size: int, own_size: OwnSize = "as-is") -> torch.Tensor:
    """(size, size) uint8: an object mask of the original image along the way of `load_image`, by nearest neighbour."""
    to = geometry(*mask.size, pixels, size, own_size)
    resized = TF.resize(mask, [to.height, to.width], InterpolationMode.NEAREST)
    return torch.from_numpy(np.array(TF.crop(resized, to.top, to.left, size, size), dtype=np.uint8))


def cut_map(saliency: torch.Tensor, to: Geometry) -> torch.Tensor:
    """(size, size): a map (h, w) of the original image along the way of `load_image`, bilinear with antialiasing."""
    mode = InterpolationMode.BILINEAR
    resized = TF.resize(saliency[None], [to.height, to.width], mode, antialias=True)
    result: torch.Tensor = TF.crop(resized, to.top, to.left, to.size, to.size)[0]
    return result


def map_boxes(
    boxes: Sequence[Box],
    image_size: tuple[int, int],
    pixels: Pixels,
    size: int,
    rounded: bool = True,
    own_size: OwnSize = "as-is",
) -> torch.Tensor:
    """(n, 4) float64 boxes in the pixels of `load_image`: x' = x · (resized width / width) - left, y' likewise.

    `image_size` is the original's (width, height) after EXIF rotation. Without `rounded` the resized size and the
    crop's offset are not rounded to pixels, as in the localisation code of CASM (Zolna et al. 2020). Not clipped: a box
    may reach beyond the crop.
    """
    width, height = image_size
    to = geometry(width, height, pixels, size, own_size)
    scales, offsets = [to.width / width, to.height / height], [float(to.left), float(to.top)]
    if not rounded and pixels != "squash":
        scales = [min(to.width, to.height) / min(width, height)] * 2
        offsets = [(scales[0] * side - size) / 2 if side > min(image_size) else shift
                   for side, shift in zip(image_size, (to.left, to.top), strict=True)]  # fmt: skip
    return torch.from_numpy(np.array(boxes, dtype=np.float64).reshape(-1, 4) * np.tile(scales, 2) - np.tile(offsets, 2))
