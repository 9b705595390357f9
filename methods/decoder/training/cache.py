"""What a decoder reads of a frozen net, kept on the disk."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from bench.core.classifier import Classifier
from methods.decoder.architecture import DecoderConfig, Reading
from methods.decoder.reading import read, row_weights, takes_gradient
from methods.training import cache
from methods.training.cache import Cache, halved
from methods.training.photographs import Batch, Photographs, pixels_of


def cached(photographs: Photographs, classifier: Classifier, config: DecoderConfig, true: bool, root: Path) -> Cache:
    """The cache of these images for this classifier, made if `root` has none. Raises UsageError when the disk is too
    small for it."""

    def answers(images: Tensor, labels: Tensor | None) -> Batch:
        targets = labels.to(classifier.device) if true and labels is not None else None
        return stored(read(classifier, config, pixels_of(images, classifier), targets), config, classifier)

    return cache.cached(
        photographs, answers, root,
        classifier.digest, config.layers, classifier.input_size, classifier.interpolation, classifier.mean.tolist(),
        classifier.std.tolist(), takes_gradient(classifier, config) and config.evidence, true,
    )  # fmt: skip


def stored(reading: Reading, config: DecoderConfig, classifier: Classifier) -> Batch:
    """What of a reading is cached: weights only where they are gradients, maps cut to the range of float16."""
    maps = {f"maps{i}": halved(found) for i, found in enumerate(reading.maps)}
    weights = {"weights": reading.weights} if reading.weights is not None and takes_gradient(classifier, config) else {}
    return {**maps, "logits": reading.logits.float(), "targets": reading.targets, **weights}


def restored(batch: Batch, config: DecoderConfig, classifier: Classifier) -> Reading:
    """The reading in a cached batch."""
    device, dtype = classifier.device, classifier.dtype
    maps = tuple(batch[f"maps{i}"].to(device).to(dtype) for i in range(len(config.layers)))
    logits, targets = batch["logits"].to(device), batch["targets"].to(device)
    if "weights" in batch:
        return Reading(maps, logits, targets, batch["weights"].to(device))
    weights = row_weights(classifier, config, logits, targets) if config.weighted else None
    return Reading(maps, logits, targets, weights)
