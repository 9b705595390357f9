"""Consensus CAM: Opti-CAM's mask, searched over several networks at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.errors import Skip
from bench.core.explainer import Passes, explainer
from bench.core.ranges import within
from bench.core.spec import split_list
from methods._adam_search import minimise
from methods._class_gradient import maps_and_gradient
from methods._common import check_targets
from methods._companions import load_companions, shown_to
from methods._variation import Variation
from methods.opti_cam import EPS, LOSSES, NORMALISATIONS, Objective, felt, mix

Variables = Literal["channels", "map"]
RATES: dict[Variables, float] = {"channels": 1.0, "map": 0.06}


def passes(classifier: Classifier, *, companions: str = "", steps: int = 10, **_: object) -> Passes:
    """At most, over all networks: each sees the image once, and once a step."""
    networks = 1 + len(split_list(companions))
    return Passes(networks * (steps + 1), networks * steps)


def helpers(classifier: Classifier, *, companions: str = "", **_: object) -> tuple[str, ...]:
    return tuple(net.digest for net in load_companions(companions, classifier))


@explainer("consensus-cam", paper="CAMBench; Opti-CAM (arXiv 2301.07002) over several networks", passes=passes,
           order="up-then-min-max", padded=False, helpers=helpers)  # fmt: skip
def consensus_cam(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    *,
    companions: str = "",
    variables: Variables = "channels",
    steps: Annotated[int, within(1, 100_000)] = 10,
    lr: Annotated[float, within(0, 1000)] = 0.0,
    objective: Objective = "cross-entropy",
    early_stop: bool = False,
    shifts: Annotated[int, within(0, 64)] = 0,
    flips: bool = False,
    backgrounds: bool = False,
) -> Tensor:
    """The mask that several networks f_1 … f_n agree on: argmin over S of the mean of their losses of x · n(up(S)).

    f_1 is the explained network; `companions` are the others, `NAME,NAME=FILE,…`, of the same classes. An image is
    resized for one of another input size. `variables`: the channel weights of Opti-CAM, S = Σ_k softmax(u)_k ReLU(A_k)
    from equal weights (rate 1), or every cell of a free map S from the Grad-CAM scaled to the maximum 1 (rate 0.06);
    `lr` replaces the rate. A free map is returned less its minimum, so that nothing of it is negative. Losses, the stop
    of `early_stop`, `shifts`, `flips` and `backgrounds` are those of opti-cam, each loss by a
    network's own clean logits; n is the min-max. Maps S (B, h, w).

    Skipped where no companions are named. UsageError for a companion that does not exist, has other classes, or is the
    explained network. Companions never judge the map.

    A mask that two networks agree on also convinces a third that was never asked, which Opti-CAM's own does not
    (`results/published/transfer.md`). Known failure: it explains what the networks share, and so less what is
    particular to the explained one.
    """
    check_targets(classifier, targets)
    others = load_companions(companions, classifier)
    if not others:
        raise Skip('it needs further networks: consensus-cam(companions="NAME,NAME=FILE")')
    variation = Variation(shifts, flips, backgrounds)
    return consensus(
        (classifier, *others), images, targets, variables, steps, lr or RATES[variables], objective,
        early_stop and variation.still, variation,
    )  # fmt: skip


def consensus(
    networks: Sequence[Classifier], images: Tensor, targets: Tensor, variables: Variables, steps: int, lr: float,
    objective: Objective, early_stop: bool, variation: Variation,
) -> Tensor:  # fmt: skip
    """Maps (B, h, w) of the first network that all agree on."""
    start, draw, moved = SEARCHED[variables](networks[0], images, targets)
    n, loss_of = NORMALISATIONS["min-max"], LOSSES[objective]
    with torch.no_grad():
        clean = [net.logits(shown_to(net, images)) for net in networks]

    def losses(u: Tensor, active: Tensor, step: int) -> Tensor:
        mask = n(F.interpolate(draw(u, active)[:, None], images.shape[-2:], mode="bilinear")[:, 0], EPS)
        seen = variation(images[active], mask, networks[0].mean, step)
        found = [
            loss_of(net.logits(shown_to(net, seen)), targets[active], known[active], net.output)
            for net, known in zip(networks, clean, strict=True)
        ]
        return torch.stack(found).mean(0)

    every = max(1, steps // 10) if early_stop else None
    u = minimise(losses, start, steps=steps, lr=lr, every=every, felt=moved)
    return draw(u, torch.arange(len(u), device=u.device))


Draw = Callable[[Tensor, Tensor], Tensor]
"""(variables (b, …), indices (b,)) to maps (b, h, w)."""
Searched = tuple[Tensor, Draw, Tensor | None]
"""Where the search starts (B, …), the map that variables draw, and which of them matter."""


def channel_weights(classifier: Classifier, images: Tensor, targets: Tensor) -> Searched:
    with torch.no_grad():
        A = classifier.features(images).relu()
    return torch.full_like(A[:, :, 0, 0], 0.5), lambda u, active: mix(A[active], u), felt(A, "min-max")


def free_map(classifier: Classifier, images: Tensor, targets: Tensor) -> Searched:
    A, g = maps_and_gradient(classifier, images, targets)
    cam = (g.mean((2, 3), keepdim=True) * A).sum(1).relu()
    return cam / (cam.amax((1, 2), keepdim=True) + EPS), lambda u, active: u - u.amin((1, 2), keepdim=True), None


SEARCHED: dict[Variables, Callable[[Classifier, Tensor, Tensor], Searched]] = {
    "channels": channel_weights,
    "map": free_map,
}
