"""Occlusion, through Captum."""

from __future__ import annotations

from math import ceil
from typing import Annotated

import torch
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import Passes, explainer
from bench.core.ranges import above
from methods._captum import CHUNK, attribute

Fraction = Annotated[float, above(0, 1)]


def geometry(side: int, window: float, stride: float) -> tuple[int, int]:
    """Window and stride in pixels, at least 1 and the stride no larger than the window."""
    pixels = min(side, max(1, round(window * side)))
    return pixels, min(pixels, max(1, round(stride * side)))


def passes(classifier: Classifier, *, window: float = 0.15, stride: float = 0.08) -> Passes:
    pixels, step = geometry(classifier.input_size, window, stride)
    return Passes(1 + (ceil((classifier.input_size - pixels) / step) + 1) ** 2)


@explainer("occlusion", paper="Zeiler & Fergus 2014, arXiv 1311.2901", library="captum", passes=passes,
           quick="window=0.25,stride=0.15", padded=False, uses_layer=False)  # fmt: skip
def occlusion(
    classifier: Classifier, images: Tensor, targets: Tensor, *, window: Fraction = 0.15, stride: Fraction = 0.08
) -> Tensor:
    """(B, H, W) signed: at each pixel the mean of f_c(x) - f_c(x with a black square) over the squares that cover it.

    `window` and `stride` are fractions of the image's side; the last squares of a row may reach beyond the image. The
    squares of half a CHUNK of images and less go through the classifier together, CHUNK occluded images at a time.

    Known failure: an object larger than the square, or one that is there twice, loses nothing under any single
    square; a black square is also a shape of its own.
    """
    from captum.attr import Occlusion

    side, step = geometry(images.shape[-1], window, stride)
    method = Occlusion(classifier.module)

    @torch.no_grad()
    def run(images: Tensor, targets: Tensor) -> Tensor:
        result: Tensor = method.attribute(
            images.detach(), (3, side, side), (3, step, step), 0, targets, perturbations_per_eval=CHUNK // len(images)
        )
        return result

    parts = zip(images.split(CHUNK // 2), targets.split(CHUNK // 2), strict=True)
    return torch.cat([attribute(classifier, *part, run) for part in parts])[:, 0]
