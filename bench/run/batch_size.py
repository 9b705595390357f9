"""The batch of a run, found by trial: the fastest forward pass among a few sizes that fit into memory."""

from __future__ import annotations

import dataclasses
import time

import torch

from bench.core.classifier import Classifier
from bench.core.device import synchronise

SIZES = (8, 16, 32, 64, 128, 256)
CPU_MOST = 32
"""A core's caches are full long before, and a host kills a process that asks for too much instead of telling it."""
GAIN = 1.05
"""A larger batch must be so much faster per image than the best so far; sizes beyond one that is not are not tried."""


def find_batch(classifier: Classifier, images: int) -> int:
    """The size with the largest throughput of scoring passes, no more than the run's `images`.

    Halved until a gradient with respect to the images fits as well, which explainers need and which takes the most
    memory. Raises torch.OutOfMemoryError or MemoryError when not even one image fits. Sizes are compared without
    compilation, which would compile each of them.
    """
    eager = classifier.at(dataclasses.replace(classifier.precision, compiled=False))
    most = min(images, CPU_MOST) if classifier.device.type == "cpu" else images
    best, fastest = min(SIZES[0], most), 0.0
    for size in sorted({min(size, most) for size in SIZES}):
        try:
            speed = size / forward_seconds(eager, size)
        except (torch.OutOfMemoryError, MemoryError):
            break
        if speed < GAIN * fastest:
            break
        best, fastest = size, speed
    return fitting(eager, best)


def fitting(classifier: Classifier, batch: int) -> int:
    """`batch`, halved for as long as a forward and a backward pass run out of memory."""
    while True:
        try:
            gradient(classifier, batch)
        except (torch.OutOfMemoryError, MemoryError):
            if batch == 1:
                raise
            batch //= 2
        else:
            return batch


def images_of(classifier: Classifier, batch: int) -> torch.Tensor:
    size = classifier.input_size
    return torch.zeros(batch, 3, size, size, device=classifier.device, dtype=classifier.dtype)


@torch.inference_mode()
def forward_seconds(classifier: Classifier, batch: int) -> float:
    """Of a scoring pass: the faster of two, after one that warms up."""
    images, seconds = images_of(classifier, batch), []
    for _ in range(3):
        synchronise(classifier.device)
        start = time.perf_counter()
        classifier.score(images)
        synchronise(classifier.device)
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def gradient(classifier: Classifier, batch: int) -> None:
    """Of the logits with respect to the images."""
    images = images_of(classifier, batch).requires_grad_()
    with torch.enable_grad():
        classifier.logits(images).sum().backward()
