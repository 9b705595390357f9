"""Pixel operations that metrics and explainers share: fills, the RISE blur, pixel ranks."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from bench.core.protocols import Hidden


@cache
def blur_kernel(length: int, sigma: float) -> torch.Tensor:
    """(length, length) float64 kernel of RISE `evaluation.py`: a delta filtered by scipy's Gaussian (reflecting at
    the border), so not a truncated Gaussian, but it sums to 1."""
    delta = np.zeros((length, length))
    delta[length // 2, length // 2] = 1
    from scipy.ndimage import gaussian_filter  # takes a second to import

    return torch.from_numpy(gaussian_filter(delta, sigma))


def blur(images: torch.Tensor, mean: torch.Tensor, length: int, sigma: float) -> torch.Tensor:
    """(…, 3, H, W) blurred; beyond the border lies the mean colour, as zero padding of normalised images gives.

    Source: RISE (Petsiuk et al. 2018), eclique/RISE evaluation.py, restated for pixels in [0, 1].
    """
    kernel = blur_kernel(length, sigma).to(images)
    centre = mean.to(images)[:, None, None]
    flat = (images - centre).reshape(-1, 1, *images.shape[-2:])
    return F.conv2d(flat, kernel[None, None], padding=length // 2).reshape(images.shape) + centre


def resized(images: torch.Tensor, size: int) -> torch.Tensor:
    """(B, 3, S, S) at another side, bilinear, antialiased where it shrinks: how a network of another input size is
    shown what was made for this one. The same tensor where the size is the same."""
    if images.shape[-1] == size:
        return images
    shape = (size, size)
    return F.interpolate(images, shape, mode="bilinear", align_corners=False, antialias=images.shape[-1] > size)


def fill(image: torch.Tensor, kind: Hidden, mean: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """(3, H, W) image with all pixels replaced: `black` (0), `mean` (the classifier's mean colour), `noise` (uniform
    in [0, 1] per pixel and channel, drawn from `seed`), `blur-LENGTH-SIGMA` (the blurred image), or what `imputed`
    leaves where no pixel is known, the mean colour."""
    if kind == "black":
        return image.new_zeros(1).expand_as(image)
    if kind in ("mean", "imputed"):
        return mean.to(image)[:, None, None].expand_as(image)
    if kind == "noise":
        return torch.rand(image.shape, generator=torch.Generator().manual_seed(seed % 2**63)).to(image)
    _, length, sigma = kind.split("-")
    return blur(image, mean, int(length), float(sigma))


def pixel_ranks(saliency: torch.Tensor, seed: int) -> torch.Tensor:
    """(H, W) int64 ranks of a map, 0 = most important; equal pixels in a random order that depends on `seed` only."""
    flat = saliency.flatten()
    shuffle = torch.from_numpy(np.random.default_rng(seed).permutation(flat.numel())).to(flat.device)
    order = shuffle[torch.argsort(flat[shuffle], descending=True, stable=True)]
    return _ranks(order).reshape(saliency.shape)


def released_ranks(saliency: torch.Tensor) -> torch.Tensor:
    """(H, W) int64 ranks of a map, 0 = most important, as the released code of RISE has them: equal pixels in the order
    in which NumPy's unstable sort happens to leave them, flipped. Sorted on the CPU, whatever the device."""
    order = np.flip(np.argsort(saliency.detach().cpu().numpy().ravel())).copy()
    return _ranks(torch.from_numpy(order).to(saliency.device)).reshape(saliency.shape)


def _ranks(order: torch.Tensor) -> torch.Tensor:
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(order.numel(), device=order.device)
    return ranks
