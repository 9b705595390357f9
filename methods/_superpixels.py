"""Parts of an image that perturbations switch on and off together."""

from __future__ import annotations

import torch
from torch import Tensor


def tiles(side: int, grid: int) -> Tensor:
    """(side, side) indices of a `grid` × `grid` of tiles, which differ by at most a pixel in width."""
    place = torch.arange(side) * grid // side
    return place[:, None] * grid + place


def superpixels(image: Tensor, segments: int) -> Tensor:
    """(H, W) indices from 0 of about `segments` superpixels (SLIC, Achanta et al. 2012) of an image (3, H, W)."""
    from skimage.segmentation import slic

    pixels = image.detach().permute(1, 2, 0).double().cpu().numpy()
    found = torch.from_numpy(slic(pixels, n_segments=segments, compactness=10, start_label=0))
    labels: Tensor = found.unique(return_inverse=True)[1]
    return labels.view(found.shape)
