"""What a map is trained for: losses over the classifier's logits of the image seen through the map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.registry import Registry
from methods._common import of_targets, others
from methods.decoder.reading import log_odds

View = Literal["masked", "complement", "inserted", "deleted", "softly_inserted", "softly_deleted", "reference"]

DABKOWSKI = "Dabkowski & Gal 2017 (RTIS), arXiv 1705.07857"
CASM = "Zolna et al. 2020 (CASM), arXiv 1805.08249"
OPTI_CAM = "Zhang et al. 2024 (Opti-CAM), arXiv 2301.07002"
RISE = "Petsiuk et al. 2018 (RISE), arXiv 1806.07421"
GRAD_CAM_PLUS_PLUS = "Chattopadhyay et al. 2018 (Grad-CAM++), arXiv 1710.11063"
TAME = "Ntrougkas et al. 2022 (TAME), arXiv 2301.07407"


@dataclass(frozen=True)
class Views:
    """A batch as losses see it. Logits of a view (B, C) are None where no loss asked for it."""

    clean: Tensor
    """(B, C) of the images x, without graph."""
    targets: Tensor
    """(B,) explained classes."""
    saliency: Tensor
    """(B, S, S) maps m in [0, 1]."""
    masked: Tensor | None = None
    """Of x · m + b · (1 - m), b the background."""
    complement: Tensor | None = None
    """Of x · (1 - m) + b · m."""
    inserted: Tensor | None = None
    """Of x with only its most important pixels, blurred elsewhere: a random point of an insertion curve."""
    deleted: Tensor | None = None
    """Of x without its most important pixels, black there: a random point of a deletion curve."""
    softly_inserted: Tensor | None = None
    """As `inserted`, with a soft threshold."""
    softly_deleted: Tensor | None = None
    """As `deleted`, with a soft threshold."""
    reference: Tensor | None = None
    """(B, S, S) stored maps in [0, 1] to be imitated."""

    def __getitem__(self, view: View) -> Tensor:
        found: Tensor | None = getattr(self, view)
        assert found is not None, f"no {view} view was made"
        return found


@dataclass(frozen=True)
class Loss:
    """A function of views and parameters to (B,), and the view that it needs."""

    function: Callable[..., Tensor]
    needs: View
    paper: str


LOSSES: Registry[Loss] = Registry("loss")

L = TypeVar("L", bound=Callable[..., Tensor])


def loss(name: str, *, needs: View, paper: str) -> Callable[[L], L]:
    """Register a function (views, *, parameters) -> (B,)."""

    def register(function: L) -> L:
        LOSSES.add(name, Loss(function, needs, paper), signature_of=function)
        return function

    return register


def log_p(logits: Tensor, targets: Tensor) -> Tensor:
    """(B,) log-probability of the class."""
    return of_targets(logits.log_softmax(1), targets)


def log_not_p(logits: Tensor, targets: Tensor) -> Tensor:
    """(B,) log(1 - p) of the class, exact where p is near 1."""
    return others(logits, targets).logsumexp(1) - logits.logsumexp(1)


@loss("mimic", needs="masked", paper=f"{OPTI_CAM}, objective `norm`")
def mimic(views: Views) -> Tensor:
    """|f_c(x) − f_c(masked)|, logits."""
    return (of_targets(views.clean, views.targets) - of_targets(views["masked"], views.targets)).abs()


@loss("max", needs="masked", paper=f"{OPTI_CAM}, objective `plain`")
def maximum(views: Views) -> Tensor:
    """−f_c(masked), the logit."""
    return -of_targets(views["masked"], views.targets)


@loss("ce", needs="masked", paper=TAME)
def cross_entropy(views: Views) -> Tensor:
    """−log p_c(masked)."""
    return -log_p(views["masked"], views.targets)


@loss("kl", needs="masked", paper="Kullback & Leibler 1951")
def divergence(views: Views) -> Tensor:
    """KL(p(x) ‖ p(masked)) = Σ_j p_j(x) (log p_j(x) − log p_j(masked)): all classes are to stay as they were."""
    clean, masked = views.clean.log_softmax(1), views["masked"].log_softmax(1)
    return F.kl_div(masked, clean, reduction="none", log_target=True).sum(1)


@loss("drop", needs="masked", paper=f"Average Drop; {GRAD_CAM_PLUS_PLUS}")
def drop(views: Views) -> Tensor:
    """max(0, p_c(x) − p_c(masked)) / p_c(x), in [0, 1]."""
    change = log_p(views["masked"], views.targets) - log_p(views.clean, views.targets)
    return -torch.expm1(change.clamp_max(0))


@loss("gain", needs="masked", paper=f"Average Gain; {OPTI_CAM}")
def gain(views: Views) -> Tensor:
    """−max(0, p_c(masked) − p_c(x)) / (1 − p_c(x)), in [-1, 0]; nothing is learned where confidence falls."""
    change = log_not_p(views["masked"], views.targets) - log_not_p(views.clean, views.targets)
    return torch.expm1(change.clamp_max(0))


@loss("keep-odds", needs="masked", paper="the hinge of the log-odds, smoothed; of this project")
def keep_odds(views: Views, *, temperature: float = 1.0) -> Tensor:
    """τ · softplus((z(x) − z(masked)) / τ), z = log p_c / (1 − p_c).

    `drop` and `gain` each leave the images without a gradient that are on the other side of their hinge; this one
    learns from all of them, and from those most that lose confidence.
    """
    lost = log_odds(views.clean, views.targets) - log_odds(views["masked"], views.targets)
    return temperature * F.softplus(lost / temperature)


@loss("destroy", needs="complement", paper=DABKOWSKI)
def destroy(views: Views, *, margin: float = 5.0) -> Tensor:
    """max(0, f_c − max_{j≠c} f_j + margin) of the complement: without what the map shows, another class must win."""
    logits = views["complement"]
    return (of_targets(logits, views.targets) - others(logits, views.targets).amax(1) + margin).relu()


@loss("destroy-entropy", needs="complement", paper=CASM)
def destroy_entropy(views: Views) -> Tensor:
    """Σ_j p_j log p_j of the complement, minus its entropy: without what the map shows, nothing is certain."""
    log_probabilities = views["complement"].log_softmax(1)
    return (log_probabilities.exp() * log_probabilities).sum(1)


@loss("insertion", needs="inserted", paper=f"after the insertion curve of {RISE}")
def insertion(views: Views) -> Tensor:
    """−p_c(inserted), in [-1, 0]: minus a random point of the insertion curve, whose mean is the area under it."""
    return -log_p(views["inserted"], views.targets).exp()


@loss("deletion", needs="deleted", paper=f"after the deletion curve of {RISE}")
def deletion(views: Views) -> Tensor:
    """p_c(deleted), in [0, 1]: a random point of the deletion curve, whose mean is the area under it."""
    return log_p(views["deleted"], views.targets).exp()


@loss("soft-insertion", needs="softly_inserted", paper=f"after the insertion curve of {RISE}")
def soft_insertion(views: Views) -> Tensor:
    """−p_c(softly inserted), in [-1, 0]: `insertion` with a soft threshold, which values near it feel as well."""
    return -log_p(views["softly_inserted"], views.targets).exp()


@loss("soft-deletion", needs="softly_deleted", paper=f"after the deletion curve of {RISE}")
def soft_deletion(views: Views) -> Tensor:
    """p_c(softly deleted), in [0, 1]: `deletion` with a soft threshold, which values near it feel as well."""
    return log_p(views["softly_deleted"], views.targets).exp()


@loss("distil", needs="reference", paper="Hinton et al. 2015, arXiv 1503.02531")
def distil(views: Views) -> Tensor:
    """mean over pixels of (m − r)², r the stored map. The classifier is not asked."""
    return (views.saliency - views["reference"]).square().mean((1, 2))
