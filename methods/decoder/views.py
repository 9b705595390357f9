"""The images that a classifier is shown to judge a map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from bench.core.perturb import blur
from methods.decoder.architecture import min_max

TEMPERATURE = 0.05
"""Softness of the threshold of `Scene.kept`, in units of a map's span."""


@dataclass(frozen=True)
class Scene:
    """Images and what is to be done to them."""

    images: Tensor
    """(B, 3, S, S)."""
    mask: Tensor
    """(B, S, S) in [0, 1]."""
    background: Tensor
    """(B, 3, S, S)."""
    share: Tensor
    """(B,) share of the pixels that count as the most important ones."""
    mean: Tensor
    """(3,) the classifier's mean colour, beyond the border of what is blurred."""

    @cached_property
    def kept(self) -> Tensor:
        """(B, 1, S, S) sigmoid((m − t) / TEMPERATURE), m from its minimum to its maximum and t its quantile at
        1 − share, which is no path for gradients."""
        m = min_max(self.mask)
        ordered = m.detach().flatten(1).sort(1).values
        position = ((1 - self.share) * (ordered.shape[1] - 1)).round().long()
        t = ordered.gather(1, position[:, None])[:, :, None]
        return ((m - t) / TEMPERATURE).sigmoid()[:, None]


def masked(scene: Scene) -> Tensor:
    """x · m + b · (1 − m)."""
    m = scene.mask[:, None]
    return scene.images * m + scene.background * (1 - m)


def complement(scene: Scene) -> Tensor:
    """x · (1 − m) + b · m."""
    m = scene.mask[:, None]
    return scene.images * (1 - m) + scene.background * m


def inserted(scene: Scene) -> Tensor:
    """x · k + blur(x) · (1 − k), k = `kept`: on the insertion curve's path at `share`."""
    return scene.images * scene.kept + blur(scene.images, scene.mean, 11, 5.0) * (1 - scene.kept)


def deleted(scene: Scene) -> Tensor:
    """x · (1 − k), k = `kept`: on the deletion curve's path at `share`."""
    return scene.images * (1 - scene.kept)


COMPOSITIONS: dict[str, Callable[[Scene], Tensor]] = {
    "masked": masked,
    "complement": complement,
    "inserted": inserted,
    "deleted": deleted,
}
"""Name of a view, as in `losses.Views`, to its images."""
