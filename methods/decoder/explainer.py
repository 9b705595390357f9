"""The learned decoder as an explainer."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.errors import Skip
from bench.core.explainer import Learned, Passes, explainer
from bench.core.paths import user_path
from methods._common import check_targets
from methods.decoder import checkpoint
from methods.decoder.architecture import Decoder
from methods.decoder.reading import read, takes_gradient


def find(classifier: Classifier, weights: str) -> Path | None:
    """The file that `weights` names, or the shipped one of a recipe for this classifier."""
    return checkpoint.shipped(classifier, weights) if weights in ("", *checkpoint.RECIPES) else user_path(weights)


def passes(classifier: Classifier, *, weights: str = "") -> Passes:
    """One pass, and a gradient where the class weights of the maps are the head's gradient."""
    file = find(classifier, weights)
    gradient = file is not None and takes_gradient(classifier, checkpoint.read_facts(file).config)
    return Passes(1, 1) if gradient else Passes(1)


def learned(classifier: Classifier, *, weights: str = "") -> Learned | None:
    """What the file says of its training; None where no decoder is shipped. Raises UsageError for a missing file."""
    file = find(classifier, weights)
    if file is None:
        return None
    facts = checkpoint.read_facts(file)
    cost = ", ".join(f"{name} {value}" for name, value in facts.cost.items())
    return Learned(digest(file, file.stat().st_mtime_ns), facts.trained_on, f"cost: {cost}")


def helpers(classifier: Classifier, *, weights: str = "") -> tuple[str, ...]:
    """The further networks of its training."""
    file = find(classifier, weights)
    return checkpoint.read_facts(file).helpers if file else ()


@lru_cache(maxsize=16)
def digest(file: Path, modified: int) -> str:
    """sha256 of a file as of `modified`."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


@explainer("decoder", paper="saliency map decoder: proposal of the project", passes=passes, order="up-then-min-max",
           learned=learned, helpers=helpers)  # fmt: skip
def decoder(classifier: Classifier, images: Tensor, targets: Tensor, *, weights: str = "") -> Tensor:
    """S = D(A(x), c): a network trained to compute the map from the classifier's own maps; see `methods.decoder`.

    `weights` is a checkpoint of `python -m methods.decoder.train`, by default the one that the project ships for this
    classifier, its weights and its layer; `panel` the shipped one of the second recipe, trained with companions, which
    therefore never judge it. Maps (B, S, S) in [0, 1]. Skipped where none is shipped; UsageError for a
    file that is missing or was trained for another classifier.

    Known failure: it is made for one network, its weights and its layer; what it learned on images unlike its
    training images is not known, and of a network that is changed afterwards it shows the old training (the
    randomisation check fails by construction).
    """
    check_targets(classifier, targets)
    file = find(classifier, weights)
    if file is None:
        raise Skip(f"no decoder is shipped for it; train one: {checkpoint.training_command(classifier)}")
    checkpoint.read_facts(file).check(classifier, file)
    net = loaded(file, file.stat().st_mtime_ns, classifier.device, classifier.dtype)
    reading = read(classifier, net.config, images, targets)
    with torch.no_grad():
        result: Tensor = net(reading)
        return result


@lru_cache(maxsize=4)
def loaded(file: Path, modified: int, device: torch.device, dtype: torch.dtype) -> Decoder:
    """The decoder in a file as of `modified`, on one device for good."""
    return checkpoint.load(file, device, dtype)
