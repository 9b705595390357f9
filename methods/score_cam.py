"""Score-CAM, in the readings that are about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import explainer
from bench.core.perturb import fill
from methods._channel_masks import answers_under, distinct, min_max_of
from methods._common import Chunk, check_targets, pass_per_channel

Variant = Literal["paper", "official", "pytorch-grad-cam", "castream", "torch-cam"]


@dataclass(frozen=True)
class Reading:
    """How a paper or its code masks, scores and weighs."""

    background: Literal["black", "mean"]
    """What a mask of 0 leaves: black where raw pixels are masked, the mean colour where normalised ones are."""
    probability: bool
    """u_k is the probability of the class instead of its logit."""
    softmax: bool
    """Weights are a softmax of u over all channels; else u itself. Any constant baseline in u cancels in it."""
    align_corners: bool = False
    native_min_max: bool = False
    """Min-max at the maps' own resolution, before up-sampling."""
    eps: float | None = None
    """Added to max - min; None leaves out constant maps."""


READINGS: dict[Variant, Reading] = {
    "paper": Reading("black", probability=False, softmax=True),
    "official": Reading("mean", probability=True, softmax=False),
    "pytorch-grad-cam": Reading("mean", probability=False, softmax=True, align_corners=True, eps=1e-8),
    "castream": Reading("black", probability=True, softmax=False, align_corners=True),
    "torch-cam": Reading("mean", probability=False, softmax=True, native_min_max=True, eps=1e-8),
}


@explainer("score-cam", paper="Wang et al. 2020, arXiv 1910.01279", passes=pass_per_channel, padded=False)
@torch.no_grad()
def score_cam(
    classifier: Classifier, images: Tensor, targets: Tensor, *, variant: Variant = "paper", chunk: Chunk = 64
) -> Tensor:
    """S = Σ_k w_k A_k with w = softmax_k(f_c(x · M_k) - f_c(black)), M_k the up-sampled map A_k after min-max.

    The constant f_c(black) cancels in the softmax, so that no pass is spent on it. Constant maps have no M_k and weigh
    nothing; equal maps of an image are scored once. The other variants are those of `READINGS`: the authors' code,
    pytorch-grad-cam, CA-Stream and torch-cam. `chunk` masked images, of whichever images, go through the classifier at
    a time; their masks are made then.

    Known failure: a softmax over logits lets one channel take nearly all the weight where one logit stands out;
    constant and dead channels aside, the cost is a pass per channel.
    """
    check_targets(classifier, targets)
    reading = READINGS[variant]
    A = classifier.features(images)
    maps, owner, place = distinct(A)
    live = torch.ones_like(owner, dtype=torch.bool)
    if reading.eps is None:
        live = maps.amax((1, 2)) != maps.amin((1, 2))
    u = A.new_full(owner.shape, -torch.inf if reading.softmax else 0)
    if live.any():
        u[live] = _scores(classifier, images, targets, maps[live], owner[live], reading, chunk).to(u)
    weights = u[place]
    if reading.softmax:
        weights = weights.softmax(1).nan_to_num(0)  # NaN where every map is constant
    return torch.einsum("bk,bkhw->bhw", weights, A)


def _scores(
    classifier: Classifier, images: Tensor, targets: Tensor, maps: Tensor, owner: Tensor, reading: Reading, chunk: int
) -> Tensor:
    """(n,) scores of image `owner[j]` (n,) under the mask of `maps[j]` (n, h, w), for its class."""
    background = fill(images[0], reading.background, classifier.mean)
    contrast = images - background

    def masked(part: Tensor) -> Tensor:
        masks = _masks(maps[part], images.shape[-2:], reading)[:, None]
        return torch.addcmul(background, masks, contrast[owner[part]])

    return answers_under(classifier, targets[owner], masked, chunk, reading.probability)


def _masks(maps: Tensor, size: tuple[int, ...], reading: Reading) -> Tensor:
    """(n, H, W) masks in [0, 1] of maps (n, h, w)."""
    if reading.native_min_max:
        maps = min_max_of(maps, reading.eps)
    masks = F.interpolate(maps[:, None], size, mode="bilinear", align_corners=reading.align_corners)[:, 0]
    return masks if reading.native_min_max else min_max_of(masks, reading.eps)
