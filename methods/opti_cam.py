"""Opti-CAM: the combination of maps that, as a mask, keeps the class score highest."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import MapOrder, Passes, explainer
from bench.core.output import Output
from bench.core.ranges import above, within
from bench.core.spec import LATER
from methods._adam_search import minimise
from methods._common import check_targets, of_targets, others
from methods._variation import Variation

Normalisation = Literal["min-max", "max", "sigmoid"]
Objective = Literal["plain", "norm", "margin", "cross-entropy"]
EPS = 1e-8


def passes(classifier: Classifier, *, steps: int = 100, **_: object) -> Passes:
    """At most: an image that stops early needs fewer. The clean logits take a run of the head."""
    return Passes(steps + (1 if classifier.traced else 2), steps)


def order(*, normalisation: Normalisation = "min-max", **_: object) -> MapOrder:
    """A mask that is no min-max is returned as it was optimised, and so it is scored."""
    return "up-then-min-max" if normalisation == "min-max" else "as-is"


def version(*, normalisation: Normalisation = "min-max", **_: object) -> int:
    """2: S of the other normalisations was returned before its n, so that another mask was scored."""
    return 1 if normalisation == "min-max" else 2


def mix(A: Tensor, u: Tensor) -> Tensor:
    """(B, h, w) convex combination Σ_k softmax(u)_k A_k of maps (B, K, h, w), u (B, K).

    A plain sum: a product of matrices rounds an image otherwise in another batch, and Adam blows rounding up.
    """
    return (u.softmax(1)[:, :, None, None] * A).sum(1)


def _min_max(S: Tensor, eps: float) -> Tensor:
    low, high = S.amin((1, 2), keepdim=True), S.amax((1, 2), keepdim=True)
    return (S - low) / (high - low + eps)


NORMALISATIONS: dict[Normalisation, Callable[[Tensor, float], Tensor]] = {
    "min-max": _min_max,
    "max": lambda S, eps: S / (S.amax((1, 2), keepdim=True) + eps),
    "sigmoid": lambda S, eps: S.sigmoid(),
}


def _margin(logits: Tensor, targets: Tensor, clean: Tensor, output: Output) -> Tensor:
    return others(logits, targets).amax(1) - of_targets(logits, targets)


LOSSES: dict[Objective, Callable[[Tensor, Tensor, Tensor, Output], Tensor]] = {
    "plain": lambda logits, targets, clean, output: of_targets(clean, targets) - of_targets(logits, targets),
    "norm": lambda logits, targets, clean, output: (of_targets(clean, targets) - of_targets(logits, targets)).abs(),
    "margin": _margin,
    "cross-entropy": lambda logits, targets, clean, output: -of_targets(output.log_probabilities(logits), targets),
}
"""(masked logits (B, C), targets (B,), clean logits (B, C), what they mean) to what is minimised, (B,)."""


@explainer("opti-cam", paper="Zhang et al. 2024, arXiv 2301.07002", passes=passes, order=order,
           version=version, quick="steps=10", padded=False)  # fmt: skip
def opti_cam(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    *,
    steps: Annotated[int, within(1, 100_000)] = 100,
    lr: Annotated[float, above(0, 1000)] = 0.1,
    init: Annotated[float, within(-1000, 1000)] = 0.5,
    normalisation: Normalisation = "min-max",
    objective: Objective = "plain",
    early_stop: bool = True,
    legacy: bool = False,
    shifts: Annotated[int, LATER, within(0, 64)] = 0,
    flips: Annotated[bool, LATER] = False,
    backgrounds: Annotated[bool, LATER] = False,
) -> Tensor:
    """S(u*) = Σ_k softmax(u*)_k ReLU(A_k) with u* = argmax_u f_c(x · n(up(S(u)))), by `steps` of Adam from u = `init`.

    `up` is bilinear to the image, n the `normalisation` of the mask: min-max, division by the maximum, or sigmoid.
    Maps are S(u*), (B, h, w), where n is min-max, which the harness does. Else they are the masks themselves,
    n(up(S(u*))), (B, H, W) in [0, 1], which protocols that follow the paper's order score as they are.
    `objective`: the logit (plain), minus its distance from the clean logit (norm), the logit less the best other one
    (margin), the log-probability (cross-entropy).

    With `early_stop`, every steps // 10 steps an image whose loss exceeds that of its previous check ends with the
    variables of that previous check, and is not passed any more. The images of a batch are optimised at once, each by
    its own loss, its own moments and its own stop. `legacy` is the authors' code: the loss summed over the batch
    decides for all its images at once, which end with the variables of this check, and n has no guard against constant
    maps (NaN).

    `shifts` (pixels), `flips` and `backgrounds` (black, mean colour, blurred) change what each step sees, so that the
    mask cannot rest on one view; losses of two steps are not comparable then, and no image stops early.

    Known failure: it maximises what AD, AG and AI measure, on the network that they ask: these values are no
    evidence for it. Ask judges (`--judges`), boxes, or Insertion and Deletion as well.
    """
    check_targets(classifier, targets)
    mask_of, loss_of = NORMALISATIONS[normalisation], LOSSES[objective]
    eps, variation = 0.0 if legacy else EPS, Variation(shifts, flips, backgrounds)
    with torch.no_grad():
        features, rest = classifier.trunk(images)
        clean = classifier.head(features, rest)
    A = features.relu()
    size = images.shape[-2:]

    def mask(S: Tensor) -> Tensor:
        return mask_of(F.interpolate(S[:, None], size, mode="bilinear")[:, 0], eps)

    def losses(u: Tensor, active: Tensor, step: int) -> Tensor:
        seen = variation(images[active], mask(mix(A[active], u)), classifier.mean, step)
        return loss_of(classifier.logits(seen), targets[active], clean[active], classifier.output)

    start = torch.full(A.shape[:2], init, dtype=A.dtype, device=A.device)
    every = max(1, steps // 10) if early_stop and variation.still else None
    u = minimise(losses, start, steps=steps, lr=lr, every=every, felt=felt(A, normalisation), joint=legacy)
    drawn = mix(A, u)
    return drawn if normalisation == "min-max" else mask(drawn)


def felt(A: Tensor, normalisation: Normalisation) -> Tensor:
    """(B, K) whether a map matters. An empty one only scales S, which n undoes: its gradient is rounding noise, which
    Adam would blow up to steps."""
    return (A.amax((2, 3)) > 0) | (normalisation == "sigmoid")


@explainer("opti-cam-fast", paper="Zhang et al. 2024, arXiv 2301.07002, in ten steps", passes=partial(passes, steps=10),
           order="up-then-min-max", padded=False)  # fmt: skip
def opti_cam_fast(
    classifier: Classifier, images: Tensor, targets: Tensor, *, steps: Annotated[int, within(1, 1000)] = 10
) -> Tensor:
    """Opti-CAM in ten steps at ten times the rate: `opti-cam(steps=10,lr=1,objective=cross-entropy,early_stop=false)`.

    A tenth of the paper's cost.

    Known failure: that of opti-cam.
    """
    return opti_cam(classifier, images, targets, steps=steps, lr=1.0, objective="cross-entropy", early_stop=False)
