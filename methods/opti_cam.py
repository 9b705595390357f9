"""Opti-CAM: the combination of maps that, as a mask, keeps the class score highest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import Passes, explainer
from methods._common import check_targets, of_targets

Normalisation = Literal["min-max", "max", "sigmoid"]
Objective = Literal["plain", "norm", "margin", "cross-entropy"]
EPS = 1e-8


def passes(classifier: Classifier, *, steps: int = 100, **_: object) -> Passes:
    """At most: an image that stops early needs fewer. The clean logits take a run of the head."""
    return Passes(steps + (1 if classifier.traced else 2), steps)


def mix(A: Tensor, u: Tensor) -> Tensor:
    """(B, h, w) convex combination Σ_k softmax(u)_k A_k of maps (B, K, h, w), u (B, K)."""
    return torch.einsum("bk,bkhw->bhw", u.softmax(1), A)


def _min_max(S: Tensor, eps: float) -> Tensor:
    low, high = S.amin((1, 2), keepdim=True), S.amax((1, 2), keepdim=True)
    return (S - low) / (high - low + eps)


NORMALISATIONS: dict[Normalisation, Callable[[Tensor, float], Tensor]] = {
    "min-max": _min_max,
    "max": lambda S, eps: S / (S.amax((1, 2), keepdim=True) + eps),
    "sigmoid": lambda S, eps: S.sigmoid(),
}


def _margin(logits: Tensor, targets: Tensor, clean: Tensor) -> Tensor:
    others = logits.scatter(1, targets[:, None], -torch.inf)
    return others.amax(1) - of_targets(logits, targets)


LOSSES: dict[Objective, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "plain": lambda logits, targets, clean: of_targets(clean, targets) - of_targets(logits, targets),
    "norm": lambda logits, targets, clean: (of_targets(clean, targets) - of_targets(logits, targets)).abs(),
    "margin": _margin,
    "cross-entropy": lambda logits, targets, clean: F.cross_entropy(logits, targets, reduction="none"),
}
"""(masked logits (B, C), targets (B,), clean logits (B, C)) to what is minimised, (B,)."""


@explainer("opti-cam", paper="Zhang et al. 2024, arXiv 2301.07002", passes=passes, order="up-then-min-max",
           quick="steps=10", padded=False)  # fmt: skip
def opti_cam(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    *,
    steps: int = 100,
    lr: float = 0.1,
    init: float = 0.5,
    normalisation: Normalisation = "min-max",
    objective: Objective = "plain",
    early_stop: bool = True,
    legacy: bool = False,
) -> Tensor:
    """S(u*) = Σ_k softmax(u*)_k ReLU(A_k) with u* = argmax_u f_c(x · n(up(S(u)))), by `steps` of Adam from u = `init`.

    `up` is bilinear to the image, n the `normalisation` of the mask: min-max, division by the maximum, or sigmoid.
    `objective`: the logit (plain), minus its distance from the clean logit (norm), the logit less the best other one
    (margin), the log-probability (cross-entropy).

    With `early_stop`, every steps // 10 steps an image whose loss exceeds that of its previous check ends with the
    variables of that previous check. Images are optimised one at a time: Adam blows rounding up, and the rounding of a
    batch depends on its size. `legacy` is the authors' code: the loss summed over the batch decides for all its images
    at once, which end with the variables of this check, and n has no guard against constant maps (NaN).
    """
    check_targets(classifier, targets)
    eps = 0.0 if legacy else EPS
    mask_of, loss_of, every = NORMALISATIONS[normalisation], LOSSES[objective], max(1, steps // 10)

    def optimise(images: Tensor, targets: Tensor) -> Tensor:
        """The maps of images that stop together."""
        with torch.no_grad():
            features, rest = classifier.trunk(images)
            clean = classifier.head(features, rest)
        A = features.relu()
        u = torch.full(A.shape[:2], init, dtype=A.dtype, device=A.device, requires_grad=True)
        adam = torch.optim.Adam([u], lr=lr)
        # An empty map only scales S, which n undoes: its gradient is rounding noise, which Adam would blow up to steps.
        felt = (A.amax((2, 3)) > 0) | (normalisation == "sigmoid")
        previous, checked = torch.inf, u.detach().clone()
        for step in range(steps):
            maps = F.interpolate(mix(A, u)[:, None], images.shape[-2:], mode="bilinear")
            logits = classifier.logits(images * mask_of(maps[:, 0], eps)[:, None])
            loss = loss_of(logits, targets, clean).sum()
            if early_stop and step % every == 0:
                if loss.item() > previous:
                    return mix(A, u.detach() if legacy else checked)
                previous, checked = loss.item(), u.detach().clone()
            u.grad = torch.autograd.grad(loss, u)[0] * felt
            adam.step()
        return mix(A, u.detach())

    together = len(images) if legacy else 1
    return torch.cat([optimise(*part) for part in zip(images.split(together), targets.split(together), strict=True)])
