"""Ablation-CAM by runs of the head alone."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import Passes, explainer
from methods._common import Chunk, channels, check_targets, of_targets, one_of


def passes(classifier: Classifier, **_: object) -> Passes:
    """The trunk once; the head's K + 1 runs only count where torch.fx cannot cut the net and a head is a whole pass,
    and are not made where it is global average pooling and one linear layer."""
    return Passes(1) if classifier.traced or classifier.linear else Passes(2 + channels(classifier))


@explainer("ablation-cam", paper="Desai & Ramaswamy 2020, doi 10.1109/WACV45572.2020.9093360", passes=passes,
           order="two-step")  # fmt: skip
@torch.no_grad()
def ablation_cam(
    classifier: Classifier, images: Tensor, targets: Tensor, *, absolute: bool = False, chunk: Chunk = 64
) -> Tensor:
    """S = Σ_k w_k A_k with w_k = (f_c - f_c^k) / f_c (equation 3); f^k the logits with channel k of A set to 0.

    The paper divides by f_c because it thinks of a fraction of a positive logit; where f_c < 0 this turns the whole map
    over. `absolute` divides by |f_c|, so that a channel whose loss lowers the logit always weighs in favour. Nothing is
    divided where f_c = 0: a map's scale plays no part.

    Behind global average pooling and one linear layer f_c - f_c^k = W_ck · mean A_k, and no head is run. Elsewhere
    `chunk` channels go through the head at a time.

    Known failure: channels that say the same hide one another: each alone can go without loss, so that neither
    weighs.
    """
    check_targets(classifier, targets)
    A, rest = classifier.trunk(images)
    if classifier.linear:
        weight, bias = classifier.linear
        drops = weight[targets] * A.mean((2, 3))
        logits = drops.sum(1) + bias[targets]
    else:
        logits = of_targets(classifier.head(A, rest), targets)
        ablated = [_ablated(classifier, A[i], one_of(rest, i), int(target), chunk) for i, target in enumerate(targets)]
        drops = logits[:, None] - torch.stack(ablated)
    scale = torch.where(logits == 0, 1, logits.abs() if absolute else logits)
    return torch.einsum("bk,bkhw->bhw", drops / scale[:, None], A)


def _ablated(classifier: Classifier, A: Tensor, rest: list[Tensor], target: int, chunk: int) -> Tensor:
    """(K,) logits of the class with each of the maps A (K, h, w) set to zero in turn."""
    kept = 1 - torch.eye(len(A), dtype=A.dtype, device=A.device)
    return torch.cat([classifier.head(A * rows[:, :, None, None], rest)[:, target] for rows in kept.split(chunk)])
