"""Companions: networks beside the explained one that help to make a map, and so may never judge it."""

from __future__ import annotations

from functools import lru_cache

import torch

from bench.classifiers.load import load_classifier
from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from bench.core.paths import user_path
from bench.core.perturb import resized
from bench.core.spec import split_list
from bench.data.labels import check_same_classes


def load_companions(text: str, explained: Classifier) -> tuple[Classifier, ...]:
    """The networks of `NAME,NAME=FILE,…` (a file of weights behind the name), on the explained one's device.

    Raises UsageError for a name or file that does not exist, for other classes than the explained network's, and for a
    network that is named twice or is the explained one itself.
    """
    found = tuple(loaded(item, explained.device, explained.dtype) for item in split_list(text))
    digests = [explained.digest, *(net.digest for net in found)]
    for i, net in enumerate(found, 1):
        check_same_classes("companion", net, explained)
        if net.digest in digests[:i]:
            raise UsageError(f"companion {net.name} is there already; name each network once")
    return found


@lru_cache(maxsize=8)
def loaded(item: str, device: torch.device, dtype: torch.dtype) -> Classifier:
    name, _, file = item.partition("=")
    return load_classifier(name, weights=user_path(file) if file else None, device=device, dtype=dtype)


def shown_to(classifier: Classifier, images: torch.Tensor) -> torch.Tensor:
    """Images (B, 3, S, S) at the size that a network takes."""
    return resized(images, classifier.input_size)
