"""Removed pixels filled from their neighbours, so that the shape of the hole tells nothing (ROAD, Rong et al. 2022)."""

from __future__ import annotations

import torch
import torch.nn.functional as F

TOLERANCE, MOST_STEPS = 1e-5, 1000
NEIGHBOURS = torch.tensor([[1, 2, 1], [2, 0, 2], [1, 2, 1]]) / 12
"""Weights of the eight neighbours: 1/6 beside, 1/12 across the corner."""


def imputed(image: torch.Tensor, removed: torch.Tensor) -> torch.Tensor:
    """(n, C, H, W): the image (C, H, W) with the removed pixels (n, H, W) such that each is the weighted mean of its
    neighbours within the image; all levels and channels are solved at once by conjugate gradients.

    Where everything is removed nothing is known, and the result is 0.
    """
    inside = removed[:, None].to(image.dtype)
    kernel = NEIGHBOURS.to(image)[None, None]

    def around(x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x.flatten(0, 1)[:, None], kernel, padding=1).view_as(x)

    weight = around(torch.ones_like(image)[None])[:, :1]  # less than 1 at the border
    known = image * (1 - inside)

    def system(x: torch.Tensor) -> torch.Tensor:
        return inside * (weight * x - around(x))

    # conjugate gradients on the removed pixels, each channel of each level a system of its own, scaled by the diagonal
    x = torch.zeros_like(known)
    residual = inside * around(known)
    z = residual / weight
    direction, rho = z, (residual * z).sum((2, 3), keepdim=True)
    enough = TOLERANCE**2 * rho
    for _ in range(MOST_STEPS):
        if (rho <= enough).all():
            break
        moved = system(direction)
        curvature = (direction * moved).sum((2, 3), keepdim=True)
        step = torch.where(curvature > 0, rho / curvature.where(curvature > 0, 1), 0)
        x, residual = x + step * direction, residual - step * moved
        z = residual / weight
        new = (residual * z).sum((2, 3), keepdim=True)
        direction, rho = z + torch.where(rho > 0, new / rho.where(rho > 0, 1), 0) * direction, new
    return known + inside * x
