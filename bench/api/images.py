"""Images as programs give them, as the network sees them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from bench.core.protocols import Protocol
from bench.data.pixels import ImageProblem, decode, prepared, read_bytes, to_rgb
from bench.scoring.sources import Item

Picture = str | Path | Image.Image | np.ndarray[Any, Any] | torch.Tensor


def as_items(images: Picture | Sequence[Picture], classifier: Classifier, protocol: Protocol) -> list[Item]:
    """One item per image, resized and cropped as the protocol says. A tensor that already has the network's size is
    taken as it is. Raises UsageError for what is no image."""
    return [as_item(image, number, classifier, protocol) for number, image in enumerate(singly(images))]


def singly(images: Any) -> list[Any]:
    """A batch or a list as a list of single images."""
    if isinstance(images, torch.Tensor | np.ndarray):
        return list(images) if images.ndim == 4 else [images]
    return list(images) if isinstance(images, list | tuple) else [images]


def as_item(image: Any, number: int, classifier: Classifier, protocol: Protocol) -> Item:
    name, size = f"image {number}", classifier.input_size
    if isinstance(image, torch.Tensor) and image.shape == (3, size, size) and image.is_floating_point():
        pixels = within_range(image.detach().float().cpu(), name)
        digest = hashlib.sha256(pixels.numpy().tobytes()).hexdigest()
    else:
        name, digest, picture = opened(image, name)
        pixels = prepared(picture, protocol.pixels, size, classifier.interpolation, protocol.own_size)
    return Item(name, digest, pixels.to(classifier.device, classifier.dtype), None, None)


def opened(image: Any, name: str) -> tuple[str, str, Image.Image]:
    """Name, digest and picture of a path, a PIL image or an array. The digest of a file is that of its bytes, so that
    random methods see the seeds that a run gives them."""
    if isinstance(image, str | Path):
        path = Path(image).expanduser()
        try:
            data = read_bytes(path)
            return path.stem, hashlib.sha256(data).hexdigest(), decode(data)
        except ImageProblem as problem:
            raise UsageError(f"{path}: {problem}") from None
    if isinstance(image, Image.Image):
        picture = to_rgb(image)
    elif isinstance(image, np.ndarray | torch.Tensor):
        picture = from_array(image, name)
    else:
        raise UsageError(f"{name} is a {type(image).__name__}; give a path, a PIL image, an array or a tensor")
    return name, hashlib.sha256(picture.tobytes() + str(picture.size).encode()).hexdigest(), picture


def from_array(image: Any, name: str) -> Image.Image:
    """(H, W), (H, W, 3) or, as a tensor, (3, H, W): uint8 or floats in [0, 1]."""
    array = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else image
    if isinstance(image, torch.Tensor) and array.ndim == 3:
        array = array.transpose(1, 2, 0)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise UsageError(f"{name} has shape {tuple(image.shape)}; an array is (H, W, 3), a tensor (3, H, W)")
    if array.dtype != np.uint8:
        floats = within_range(torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)), name).numpy()
        array = np.round(floats * 255).astype(np.uint8)
    return Image.fromarray(array).convert("RGB")


def within_range(values: torch.Tensor, name: str) -> torch.Tensor:
    """Raises UsageError for values outside [0, 1], as normalised images have."""
    if not bool(((values >= 0) & (values <= 1)).all()):
        low, high = float(values.min()), float(values.max())
        raise UsageError(
            f"{name} has values from {low:.3g} to {high:.3g}; give floats in [0, 1] or uint8 (the classifier "
            "normalises by itself)"
        )
    return values
