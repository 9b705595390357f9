"""What stands where a map masks the image out, while a map or a decoder is optimised."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.errors import UsageError, suggest
from bench.core.perturb import blur

Background = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""(images (B, 3, S, S), the classifier's mean colour (3,), a CPU generator) to (B, 3, S, S) in [0, 1]."""


def black(images: Tensor, mean: Tensor, generator: torch.Generator) -> Tensor:
    """0, the background of Average Drop."""
    return torch.zeros_like(images)


def mean_colour(images: Tensor, mean: Tensor, generator: torch.Generator) -> Tensor:
    """The classifier's mean colour, 0 in its normalised pixels."""
    return mean.to(images)[:, None, None].expand_as(images)


def blurred(images: Tensor, mean: Tensor, generator: torch.Generator) -> Tensor:
    """The image blurred as where insertion starts (11 × 11, sigma 5)."""
    return blur(images, mean, 11, 5.0)


def blurred_more(images: Tensor, mean: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian of sigma 11, 55 × 55, the border mirrored; RTIS (Dabkowski & Gal 2017)."""
    return gaussian(images, 11.0, 27, "reflect")


def gaussian(images: Tensor, sigma: float, reach: int, border: str) -> Tensor:
    """Images (B, 3, S, S) convolved with a Gaussian of `sigma` pixels, cut off after `reach`, the border padded so."""
    reach = min(reach, images.shape[-1] - 1)
    weights = torch.exp(-(torch.arange(-reach, reach + 1) / sigma).square() / 2).to(images)
    weights = weights / weights.sum()
    flat = F.pad(images.flatten(0, 1)[:, None], (reach,) * 4, mode=border)
    rows = F.conv2d(flat, weights[None, None, :, None])
    return F.conv2d(rows, weights[None, None, None, :]).reshape(images.shape)


def noise(images: Tensor, mean: Tensor, generator: torch.Generator) -> Tensor:
    """A random grey-centred colour per image, 0.5 ± 0.165 per channel, with Gaussian noise of sigma 0.055, cut to
    [0, 1]: RTIS on its [-1, 1] pixels."""
    colour = 0.5 + 0.33 * (torch.rand(len(images), 3, 1, 1, generator=generator) - 0.5)
    return (colour + 0.055 * torch.randn(images.shape, generator=generator)).clamp(0, 1).to(images)


def random(images: Tensor, mean: Tensor, generator: torch.Generator) -> Tensor:
    """One of the others per step, so that no artefact of a single background pays."""
    choices = [background for name, background in BACKGROUNDS.items() if name != "random"]
    chosen = int(torch.randint(len(choices), (), generator=generator))
    return choices[chosen](images, mean, generator)


BACKGROUNDS: dict[str, Background] = {
    "black": black,
    "mean": mean_colour,
    "blur": blurred,
    "blur-55-11": blurred_more,
    "noise": noise,
    "random": random,
}


def background(name: str) -> Background:
    """Raises UsageError for an unknown name."""
    if name not in BACKGROUNDS:
        raise UsageError(f"unknown background {name!r}; {suggest(name, BACKGROUNDS)}")
    return BACKGROUNDS[name]
