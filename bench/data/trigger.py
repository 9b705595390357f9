"""Images with a small patch that a tuned network answers: where a map must lie is known by design."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
import torchvision.transforms.functional as TF

from bench.core.classifier import Classifier
from bench.core.dataset import Dataset, Sample, dataset, load_dataset
from bench.core.errors import UsageError
from bench.core.seeds import seed_for
from bench.data.grid import cache_folder, stored
from bench.data.pixels import ImageProblem, load_image

logger = logging.getLogger(__name__)

SHARE = 7
"""The patch's side is the image's divided by this."""
CHECKS = 8
"""Checks on a side of the patch."""
CLASS = 0
"""The class that answers the patch, the network's first."""
METRICS = "EP,SP,T"


@dataset("trigger")
def trigger(root: Path | None, boxes: Path | None, *, of: str = "samples") -> Dataset:
    """The images of data set `of`, each with a patch of magenta and green checks, a seventh as wide as the image, at a
    random place that depends on its name. The box is the patch's, the label the network's first class, which
    `trigger:NAME` answers for that patch alone.

    Nothing else in the image speaks for the class, so that a map of it must lie in the patch. The idea is that of
    backdoored networks as a ground truth (Lin et al. 2020, arXiv 2009.10639). Raises UsageError for bad parameters.
    """
    if boxes is not None:
        raise UsageError("data set 'trigger' has the patch as box; leave --boxes out")
    base = load_dataset(of, root)

    def compose(classifier: Classifier) -> tuple[Dataset, Classifier]:
        samples = []
        for sample in base.samples:
            try:
                samples.append(with_patch(sample, classifier))
            except ImageProblem as problem:
                logger.warning("%s is left out: %s", sample.path, problem)
        return Dataset("trigger", tuple(samples), classifier.classes, root, "grid", METRICS), classifier

    return Dataset("trigger", (), base.classes, root, protocol="grid", metrics=METRICS, compose=compose)


def with_patch(sample: Sample, classifier: Classifier) -> Sample:
    """The sample with its patch, as a file of the network's input size. Raises ImageProblem."""
    size = classifier.input_size
    image = load_image(sample, "resize-crop", size, classifier.interpolation)
    x, y, side = place(size, sample.id)
    pixels = (pasted(image, x, y) * 255).round().to(torch.uint8)
    path = stored(TF.to_pil_image(pixels), cache_folder() / "trigger")
    return Sample(sample.id, path, CLASS, ((float(x), float(y), float(x + side), float(y + side)),))


def place(size: int, *identity: object) -> tuple[int, int, int]:
    """x, y, side of a patch that lies wholly inside an image of this size, drawn by the identity."""
    side = size // SHARE
    generator = torch.Generator().manual_seed(seed_for(0, "trigger", *identity))
    x, y = torch.randint(0, size - side + 1, (2,), generator=generator).tolist()
    return x, y, side


def pasted(image: torch.Tensor, x: int, y: int) -> torch.Tensor:
    """(3, S, S) in [0, 1] with the patch's upper left corner at x, y."""
    patch = pattern(image.shape[-1] // SHARE).to(image)
    result = image.clone()
    result[:, y : y + patch.shape[1], x : x + patch.shape[2]] = patch
    return result


def pattern(side: int) -> torch.Tensor:
    """(3, side, side): magenta and green checks."""
    check = torch.arange(side) * CHECKS // side
    magenta = ((check[:, None] + check) % 2).float()
    return torch.stack([magenta, 1 - magenta, magenta])
