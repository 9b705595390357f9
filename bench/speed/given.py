"""What both sides of a comparison get: one net, the same images, classes and target layer."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.classifiers.load import load_classifier
from bench.core.classifier import Classifier
from bench.core.dataset import load_dataset
from bench.core.device import exact_arithmetic
from bench.core.errors import UsageError
from bench.core.net.precision import Precision
from bench.data.pixels import load_image
from bench.run.config import DEFAULT_MODEL
from bench.run.folders import folder


@dataclass(frozen=True)
class Choice:
    """What the command line chooses."""

    model: str
    weights: Path | None = None
    device: str = "cpu"
    dtype: str = "float32"
    channels_last: bool = False
    batch: int = 20
    quick: bool = False
    compiled: bool = False
    """Our scorer's forward pass goes through `torch.compile`; nothing else does."""

    @property
    def precision(self) -> torch.dtype:
        result: torch.dtype = getattr(torch, self.dtype)
        return result

    @property
    def name(self) -> str:
        """`float32-contiguous-cpu`: the folder of its results; other nets than the default add their name."""
        others = [self.model] if self.model != DEFAULT_MODEL else []
        compiled = ["compiled"] * self.compiled
        return folder(self.dtype, self.layout, *compiled, self.device.replace(":", ""), *others)

    @property
    def layout(self) -> str:
        return "channels_last" if self.channels_last else "contiguous"

    def __str__(self) -> str:
        """`float32, contiguous`."""
        return ", ".join([self.dtype, self.layout, *["our scorer compiled"] * self.compiled])


@dataclass(frozen=True)
class Plain:
    """What the user of another library has: an `nn.Module` that they loaded, and normalised images.

    The parameters require gradients, as those of a net that was just loaded do.
    """

    net: nn.Module
    layer: str
    images: Tensor
    """(B, 3, S, S) normalised: the mean colour is 0."""
    targets: list[int]
    black: Tensor
    """(1, 3, 1, 1): what black becomes by normalisation."""

    @property
    def target_layer(self) -> nn.Module:
        return self.net.get_submodule(self.layer)

    @property
    def size(self) -> int:
        return self.images.shape[-1]

    def first(self, count: int) -> Plain:
        return Plain(self.net, self.layer, self.images[:count], self.targets[:count], self.black)


@dataclass(frozen=True)
class Given:
    """The classifier of this project and images in [0, 1], with the classes that the classifier predicts."""

    classifier: Classifier
    images: Tensor
    """(B, 3, S, S) in [0, 1]."""
    targets: Tensor
    """(B,)"""
    batch: int = 20
    """Images per forward of the scorer."""
    scorer: Classifier | None = None
    """What scores in place of `classifier`: a run scores at another precision than it explains."""

    def first(self, count: int) -> Given:
        """`count` images in batches of no more, as `--batch-size auto` has it."""
        batch = min(self.batch, count)
        return dataclasses.replace(self, images=self.images[:count], targets=self.targets[:count], batch=batch)

    @property
    def scoring(self) -> Given:
        """The same as a run's scorer gets it, images in the dtype of the scorer's net."""
        scorer = self.scorer or self.classifier
        return Given(scorer, self.images.to(scorer.dtype), self.targets, self.batch)

    def plain(self, dtype: torch.dtype, channels_last: bool = False) -> Plain:
        """The same for a user of another library, with a net of their own."""
        classifier, layout = self.classifier, torch.channels_last if channels_last else torch.preserve_format
        net = laid_out(copy.deepcopy(classifier.net).requires_grad_(True).to(dtype), channels_last)
        mean, std = (t.to(classifier.device)[:, None, None] for t in (classifier.mean, classifier.std))
        images = ((self.images.float() - mean) / std).to(dtype, memory_format=layout)
        return Plain(net, classifier.layer, images, self.targets.tolist(), (-mean / std)[None].to(dtype))


def load(choice: Choice, layer: str | None = None) -> Given:
    """The chosen classifier with all embedded sample photographs.

    Explainers get a net in the chosen precision; metrics, as in a run, a float32 net whose scoring forward has it.
    Raises UsageError for an unknown model, weights that do not fit, or a net that is not available twice.
    """
    exact_arithmetic()
    build = partial(load_classifier, choice.model, layer=layer, weights=choice.weights, device=choice.device)
    exact = build()
    classifier = exact if choice.dtype == "float32" else build(dtype=choice.precision)
    if choice.dtype != "float32" and classifier.net is exact.net:
        raise UsageError(f"{choice.model} is one net, which cannot have two precisions; name a function that builds it")
    laid_out(classifier.net, choice.channels_last)
    drawing = given(classifier, photographs(classifier, choice.channels_last), choice.batch)
    return dataclasses.replace(
        drawing, scorer=exact.at(Precision(choice.precision, choice.channels_last, choice.compiled))
    )


def laid_out(net: nn.Module, channels_last: bool) -> nn.Module:
    """The net itself, its filters in the memory layout."""
    return net.to(memory_format=torch.channels_last) if channels_last else net  # type: ignore[call-overload]


def photographs(classifier: Classifier, channels_last: bool = False) -> Tensor:
    """(20, 3, S, S) in [0, 1]: the embedded photographs."""
    samples = load_dataset("samples").samples
    images = [load_image(s, "resize-crop", classifier.input_size, classifier.interpolation) for s in samples]
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return torch.stack(images).to(classifier.device, classifier.dtype).contiguous(memory_format=layout)


def given(classifier: Classifier, images: Tensor, batch: int = 20) -> Given:
    with torch.no_grad():
        predicted = [classifier.logits(part).argmax(1) for part in images.split(batch)]
    return Given(classifier, images, torch.cat(predicted), batch)
