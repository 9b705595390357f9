"""How like two images are: structural similarity, differentiable."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SIGMA, REACH = 1.5, 5
C1, C2 = 0.01**2, 0.03**2
"""Of values in [0, 1]."""


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """(B,) mean structural similarity of images (B, 3, H, W) in [0, 1], over channels and the positions whose 11 × 11
    Gaussian window lies inside (Wang et al. 2004, doi 10.1109/TIP.2003.819861)."""
    grid = torch.arange(-REACH, REACH + 1).to(x)
    line = torch.exp(-(grid**2) / (2 * SIGMA**2))
    line = line / line.sum()
    kernel = (line[:, None] * line).expand(x.shape[1], 1, -1, -1)

    def local(values: Tensor) -> Tensor:
        return F.conv2d(values, kernel, groups=values.shape[1])

    mx, my = local(x), local(y)
    vx, vy, cov = local(x * x) - mx**2, local(y * y) - my**2, local(x * y) - mx * my
    similar = (2 * mx * my + C1) * (2 * cov + C2) / ((mx**2 + my**2 + C1) * (vx + vy + C2))
    return similar.mean((1, 2, 3))
