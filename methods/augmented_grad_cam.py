"""Augmented Grad-CAM: one map of high resolution from the maps of many moved copies."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from bench.core.explainer import EXPLAINERS, Passes, explainer
from bench.core.ranges import above, within
from methods._common import check_targets

Aggregate = Literal["super-resolution", "mean", "max"]
ANGLE, SHIFT = 0.5, 30 / 224
"""Largest rotation in radians and largest shift as a share of the side."""


def passes(classifier: Classifier, *, cam: str = "grad-cam", copies: int = 100, **_: object) -> Passes:
    one = EXPLAINERS[cam].value.cost(classifier)
    return Passes(copies * one.forward, copies * one.backward)


def moves(count: int, generator: torch.Generator) -> Tensor:
    """(count, 2, 3) affine maps of `affine_grid`: rotations and shifts, the first the identity."""
    angle, right, down = (2 * torch.rand(3, count, generator=generator) - 1) * torch.tensor([[ANGLE], [SHIFT], [SHIFT]])
    angle[0], right[0], down[0] = 0, 0, 0
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cos, -sin, 2 * right], 1), torch.stack([sin, cos, 2 * down], 1)], 1)


def inverse(matrices: Tensor) -> Tensor:
    """The moves back."""
    turn = matrices[:, :, :2].transpose(1, 2)
    return torch.cat([turn, -turn @ matrices[:, :, 2:]], 2)


def moved(images: Tensor, matrices: Tensor) -> Tensor:
    """(B, C, H, W) images, each by its own move, black from outside."""
    grid = F.affine_grid(matrices.to(images), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def super_resolution(
    maps: Tensor, matrices: Tensor, size: tuple[int, int], *, tv: float, energy: float, steps: int, lr: float
) -> Tensor:
    """(H, W) argmin_S Σ_l ‖D T_l S - g_l‖² + L · tv · TV(S) + L · energy · ‖S‖² of maps g_l (L, h, w): T_l the moves, D
    the resize to h × w, TV the sum of |Δ| down and across; by `steps` of Adam on a subgradient, from 0."""
    S = maps.new_zeros(1, 1, *size).requires_grad_()
    adam = torch.optim.Adam([S], lr=lr)
    count = len(maps)
    grid = F.affine_grid(matrices.to(maps), [count, 1, *size], align_corners=False)
    for _ in range(steps):
        low = F.interpolate(
            F.grid_sample(S.expand(count, -1, -1, -1), grid, align_corners=False), maps.shape[1:], mode="bilinear",
            align_corners=False, antialias=True,
        )[:, 0]  # fmt: skip
        variation = (S[..., 1:, :] - S[..., :-1, :]).abs().sum() + (S[..., 1:] - S[..., :-1]).abs().sum()
        loss = (low - maps).square().sum() + count * (tv * variation + energy * S.square().sum())
        (S.grad,) = torch.autograd.grad(loss, S)
        adam.step()
    return S.detach()[0, 0]


@explainer("augmented-grad-cam", paper="Morbidelli et al. 2020, doi 10.1109/ICASSP40776.2020.9054416", passes=passes,
           order="up-then-min-max", quick="copies=5", padded=False)  # fmt: skip
def augmented_grad_cam(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    *,
    cam: str = "grad-cam",
    copies: Annotated[int, within(1, 1000)] = 100,
    aggregate: Aggregate = "super-resolution",
    tv: Annotated[float, within(0, 1000)] = 0.002,
    energy: Annotated[float, within(0, 1000)] = 0.0001,
    steps: Annotated[int, within(1, 10_000)] = 200,
    lr: Annotated[float, above(0, 10)] = 0.01,
    seeds: Tensor,
) -> Tensor:
    """S (H, W), the map whose moved and downsampled copies are nearest to the maps g_l of `copies` moved images:

        argmin_S Σ_l ‖D T_l S - g_l‖² + L · tv · TV(S) + L · energy · ‖S‖²

    T_l turns by up to half a radian and shifts by up to 30 of 224 pixels (the first not at all), D resizes to the map's
    own h × w, TV is the anisotropic total variation. g_l is the rectified map of `cam` over its maximum. `aggregate`
    mean or max takes the g_l moved back in place of S. The authors' code takes a rate of 0.001, which cannot leave
    [-0.2, 0.2] in 200 steps; here it is 0.01.

    UsageError for a `cam` that is unknown or draws at random.

    Known failure: what leaves the image in a move is black there, and the network may look at the black border.
    """
    check_targets(classifier, targets)
    drawn = EXPLAINERS[cam].value
    if drawn.seeded or cam == "augmented-grad-cam":
        raise UsageError(f"augmented-grad-cam: cam={cam} cannot be augmented; take one such as grad-cam")
    size, found = (images.shape[-2], images.shape[-1]), []
    for image, target, seed in zip(images, targets, seeds.tolist(), strict=True):
        matrices = moves(copies, torch.Generator().manual_seed(seed))
        parts = [
            drawn.function(classifier, moved(image.expand(len(some), -1, -1, -1), some), target.expand(len(some)))
            for some in matrices.split(20)
        ]
        g = torch.cat(parts).detach().relu()
        g = g / g.amax((1, 2), keepdim=True).clamp_min(torch.finfo(g.dtype).tiny)
        if aggregate == "super-resolution":
            found.append(super_resolution(g, matrices, size, tv=tv, energy=energy, steps=steps, lr=lr))
        else:
            up = F.interpolate(g[:, None], size, mode="bilinear", align_corners=False)
            back = moved(up, inverse(matrices))[:, 0]
            found.append(back.mean(0) if aggregate == "mean" else back.amax(0))
    return torch.stack(found)
