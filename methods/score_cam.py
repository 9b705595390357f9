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
from methods._common import check_targets, pass_per_channel

Variant = Literal["paper", "official", "pytorch-grad-cam", "castream", "torch-cam"]


@dataclass(frozen=True)
class Reading:
    """How a paper or its code masks, scores and weighs."""

    background: Literal["black", "mean"]
    """What a mask of 0 leaves: black where raw pixels are masked, the mean colour where normalised ones are."""
    probability: bool
    """u_k is the softmax probability of the class instead of its logit."""
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
    classifier: Classifier, images: Tensor, targets: Tensor, *, variant: Variant = "paper", chunk: int = 64
) -> Tensor:
    """S = Σ_k w_k A_k with w = softmax_k(f_c(x · M_k) - f_c(black)), M_k the up-sampled map A_k after min-max.

    The constant f_c(black) cancels in the softmax, so that no pass is spent on it. Constant maps have no M_k and weigh
    nothing. The other variants are those of `READINGS`: the authors' code, pytorch-grad-cam, CA-Stream and torch-cam.
    `chunk` masked images go through the classifier at a time.
    """
    check_targets(classifier, targets)
    reading = READINGS[variant]
    A = classifier.features(images)
    weights = torch.stack([
        _weights(classifier, image, maps, int(target), reading, chunk)
        for image, maps, target in zip(images, A, targets, strict=True)
    ])  # fmt: skip
    return torch.einsum("bk,bkhw->bhw", weights, A)


def _weights(classifier: Classifier, image: Tensor, maps: Tensor, target: int, reading: Reading, chunk: int) -> Tensor:
    """(K,) weights of the maps (K, h, w) of one image."""
    background = fill(image, reading.background, classifier.mean)
    scores = []
    for part in maps.split(chunk):
        masks = _masks(part, image.shape[-2:], reading)[:, None]
        logits = classifier.logits(background + masks * (image - background))
        scores.append((logits.softmax(1) if reading.probability else logits)[:, target])
    u = torch.cat(scores)
    dead = maps.amax((1, 2)) == maps.amin((1, 2))
    if reading.eps is not None:
        dead = torch.zeros_like(dead)
    if not reading.softmax:
        return u.masked_fill(dead, 0)
    return u.masked_fill(dead, -torch.inf).softmax(0).nan_to_num(0)  # NaN where every map is constant


def _masks(maps: Tensor, size: tuple[int, ...], reading: Reading) -> Tensor:
    """(n, H, W) masks in [0, 1] of maps (n, h, w)."""
    if reading.native_min_max:
        maps = _min_max(maps, reading.eps)
    masks = F.interpolate(maps[:, None], size, mode="bilinear", align_corners=reading.align_corners)[:, 0]
    return masks if reading.native_min_max else _min_max(masks, reading.eps)


def _min_max(maps: Tensor, eps: float | None) -> Tensor:
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    span = high - low
    return (maps - low) / (span.where(span > 0, 1) if eps is None else span + eps)
