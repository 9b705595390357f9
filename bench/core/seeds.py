"""Seeds that depend on content, never on order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils.data import get_worker_info


def content_hash(*parts: object) -> str:
    """sha256 over the parts' texts, unambiguous in where one part ends."""
    digest = hashlib.sha256()
    for part in parts:
        text = str(part).encode()
        digest.update(len(text).to_bytes(8, "little") + text)
    return digest.hexdigest()


def seed_for(*parts: object) -> int:
    """A non-negative int64 from content: hash(run seed, image digest, spec) for explainers."""
    return int(content_hash(*parts)[:16], 16) >> 1


@contextmanager
def forked_rng(seed: int) -> Iterator[None]:
    """Run library code that draws from torch's or NumPy's global generator under `seed`, leaving both as they were.

    A loader's worker reads images on the CPU, and a forked one must not touch the GPU.
    """
    on_gpu = torch.cuda.is_available() and get_worker_info() is None
    devices = list(range(torch.cuda.device_count())) if on_gpu else []
    before = np.random.get_state()  # noqa: NPY002  Captum draws from it
    try:
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002
            yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
