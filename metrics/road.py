"""ROAD: pixels taken away by rank and filled from their neighbours, so that the shape of the hole tells nothing."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F

from bench.core.metric import Case, Scores, metric
from bench.core.protocols import Protocol

RONG = "Rong et al. 2022, arXiv 2202.00449"
LEVELS = tuple(range(1, 10))
NOISE = 0.01
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


def noisily_imputed(case: Case, ranks: torch.Tensor) -> torch.Tensor:
    """(9, 3, H, W): a tenth to nine tenths of the pixels imputed, those of least rank first, with noise of 0.01."""
    counts = torch.tensor([round(level * ranks.numel() / 10) for level in LEVELS], device=ranks.device)
    removed = ranks < counts[:, None, None]
    generator = torch.Generator().manual_seed(case.seed % 2**63)
    noise = NOISE * torch.randn(len(LEVELS), *case.image.shape, generator=generator).to(case.image)
    return imputed(case.image, removed) + removed[:, None] * noise


def both_orders(case: Case) -> Iterator[torch.Tensor]:
    """The most relevant pixels first, then the least relevant first."""
    yield noisily_imputed(case, case.ranks)
    yield noisily_imputed(case, case.ranks.numel() - 1 - case.ranks)


def eighteen(protocol: Protocol) -> int:
    return 2 * len(LEVELS)


@metric("ROAD", kind="score", better="higher", title="ROAD, combined", paper=RONG, derive=both_orders,
        n_derived=eighteen, bounds=(-0.5, 0.5))  # fmt: skip
def road(scores: Scores) -> float:
    """Mean over 10 %, 20 %, … 90 % of pixels removed of (p with the least relevant removed − p with the most relevant
    removed) / 2, p the probability of the explained class, in [−½, ½].

    Removed pixels become the weighted mean of their neighbours (a linear system) plus noise of 0.01. They are chosen by
    rank, so that ties do not change how many go.

    Known failure: of a large hole the imputation is a smooth blur, which a network may recognise all the same.
    """
    p = scores.derived[:, scores.target].exp()
    return float((p[len(LEVELS) :] - p[: len(LEVELS)]).mean() / 2)
