"""Saliency maps that were computed elsewhere."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from bench.core.errors import UsageError


class PrecomputedMaps:
    """A folder of maps, FOLDER/ID.npy, a `/` in an id being a sub-folder; read when asked for.

    Raises UsageError when the folder does not exist.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser()
        if not self.folder.is_dir():
            raise UsageError(f"no such folder of maps: {folder}; it needs one ID.npy per image")

        self._digests: dict[str, str] = {}

    def path(self, image_id: str) -> Path:
        return self.folder / f"{image_id}.npy"

    def missing(self, ids: Iterable[str]) -> list[str]:
        """The ids without a map, in the given order."""
        return [image_id for image_id in ids if not self.path(image_id).is_file()]

    def load(self, image_id: str) -> torch.Tensor:
        """(h, w) float32 map, signed, any resolution; NaN and infinities are passed on.

        Raises UsageError naming the file when it is missing, unreadable, not numeric, not 2-D, or another one than
        `digest` has been told of.
        """
        path, data = self.path(image_id), self.read(image_id)
        digest = hashlib.sha256(data).hexdigest()
        if self._digests.get(image_id, digest) != digest:
            raise UsageError(f"{path} has changed since the run began; run the same command again")
        try:
            values = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} is not a .npy file of numbers: {error}") from error
        if values.dtype.kind not in "fiub":
            raise UsageError(f"{path} must hold real numbers; save the map with numpy.save")
        if values.ndim != 2 or values.size == 0:
            raise UsageError(f"{path} must hold a map (height, width), not shape {values.shape}")
        return torch.from_numpy(values.astype(np.float32))

    def digest(self, image_id: str) -> str:
        """sha256 of the map's file, hex, for content keys, as it was when first asked. Raises UsageError when the file
        is missing."""
        if image_id not in self._digests:
            self._digests[image_id] = hashlib.sha256(self.read(image_id)).hexdigest()
        return self._digests[image_id]

    def read(self, image_id: str) -> bytes:
        try:
            return self.path(image_id).read_bytes()
        except FileNotFoundError:
            raise UsageError(f"no map for image {image_id}: {self.path(image_id)} does not exist") from None
        except OSError as error:
            raise UsageError(f"{self.path(image_id)} cannot be read: {error.strerror}") from None
