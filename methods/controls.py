"""Sanity controls: maps that know nothing of the classifier. What they win is not won by explaining."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import Passes, explainer

NO_PASS = Passes(0)
GREY = (0.299, 0.587, 0.114)


@explainer("fake-cam", paper="Poppi et al. 2021, arXiv 2104.10252", passes=NO_PASS, order="as-is", control=True,
           blind=True)  # fmt: skip
def fake_cam(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """(B, H, W) ones, but 0 at the top left pixel, so that min-max keeps the ones."""
    maps = torch.ones_like(images[:, 0])
    maps[:, 0, 0] = 0
    return maps


@explainer("random", paper="control: uniform noise per pixel", passes=NO_PASS, control=True)
def random(classifier: Classifier, images: Tensor, targets: Tensor, *, seeds: Tensor) -> Tensor:
    """(B, H, W) uniform in [0, 1), drawn on the CPU: alike on every device."""
    return _uniform(seeds, *images.shape[-2:]).to(images)


@explainer("random-7x7", paper="control: uniform noise at a map's usual resolution", passes=NO_PASS, control=True)
def random_7x7(classifier: Classifier, images: Tensor, targets: Tensor, *, seeds: Tensor) -> Tensor:
    """(B, 7, 7) uniform in [0, 1), drawn on the CPU: alike on every device."""
    return _uniform(seeds, 7, 7).to(images)


@explainer("center", paper="Choe et al. 2020, arXiv 2001.07437 (centre baseline)", passes=NO_PASS, control=True,
           blind=True)  # fmt: skip
def center(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """(B, H, W) Gaussian about the image's centre, standard deviation a quarter of each side."""
    rows, columns = (_bell(side) for side in images.shape[-2:])
    return (rows[:, None] * columns).to(images).repeat(len(images), 1, 1)


@explainer("sobel", paper="Adebayo et al. 2018, arXiv 1810.03292 (edge baseline)", passes=NO_PASS, control=True)
def sobel(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """(B, H, W) edge magnitude √(G_x² + G_y²) of the grey image (Rec. 601 luma), border pixels repeated outwards."""
    grey = (images * images.new_tensor(GREY).view(-1, 1, 1)).sum(1, keepdim=True)
    across = images.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    edges = F.conv2d(F.pad(grey, (1, 1, 1, 1), "replicate"), torch.stack([across, across.T])[:, None])
    return edges.square().sum(1).sqrt()


def _uniform(seeds: Tensor, height: int, width: int) -> Tensor:
    generators = [torch.Generator().manual_seed(seed) for seed in seeds.tolist()]
    return torch.stack([torch.rand(height, width, generator=generator) for generator in generators])


def _bell(side: int) -> Tensor:
    offset = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    return torch.exp(-0.5 * (offset / (side / 4)) ** 2)
