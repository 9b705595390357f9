"""The images that a classifier is shown to judge a map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from bench.core.perturb import blur
from methods.decoder.architecture import min_max

WINDOW = 0.1
"""Share of the pixels to either side of a threshold that feel it."""
TEMPERATURE = 0.05
"""Softness of the threshold of `Scene.softly_kept`, in units of a map's span."""
LEAST = 1e-3
"""Smallest softness of a threshold, in units of the map: where it is flat, no gradient may explode."""


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
        """(B, 1, S, S): 1 where m is at or above its quantile t at 1 − share, else 0, as in the curves themselves.

        Gradients are those of sigmoid((m − t) / τ), τ a quarter of the span of m between the quantiles WINDOW beside t
        (straight-through, Bengio et al. 2013, arXiv 1308.3432). With a soft threshold in front too, a flat map would
        blend instead of choosing pixels; with τ as it is, only the order of the pixels counts.
        """
        m, t = self.mask, quantile(self.mask, 1 - self.share)
        span = quantile(m, 1 - self.share + WINDOW) - quantile(m, 1 - self.share - WINDOW)
        soft = ((m - t) / (span / 4).clamp_min(LEAST)).sigmoid()
        return ((m >= t) + (soft - soft.detach()))[:, None]

    @cached_property
    def softly_kept(self) -> Tensor:
        """(B, 1, S, S) sigmoid((m − t) / TEMPERATURE), m from its minimum to its maximum and t its quantile at
        1 − share, which is no path for gradients. The values count too: where a map is flat, all of it comes a bit."""
        m = min_max(self.mask)
        return ((m - quantile(m, 1 - self.share)) / TEMPERATURE).sigmoid()[:, None]


def quantile(maps: Tensor, share: Tensor) -> Tensor:
    """(B, 1, 1) value of each map (B, S, S) below which that share (B,) of its pixels lies, without graph."""
    ordered = maps.detach().flatten(1).sort(1).values
    position = (share.clamp(0, 1) * (ordered.shape[1] - 1)).round().long()
    return ordered.gather(1, position[:, None])[:, :, None]


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


def softly_inserted(scene: Scene) -> Tensor:
    """x · k + blur(x) · (1 − k), k = `softly_kept`."""
    return scene.images * scene.softly_kept + blur(scene.images, scene.mean, 11, 5.0) * (1 - scene.softly_kept)


def softly_deleted(scene: Scene) -> Tensor:
    """x · (1 − k), k = `softly_kept`."""
    return scene.images * (1 - scene.softly_kept)


COMPOSITIONS: dict[str, Callable[[Scene], Tensor]] = {
    "masked": masked,
    "complement": complement,
    "inserted": inserted,
    "deleted": deleted,
    "softly_inserted": softly_inserted,
    "softly_deleted": softly_deleted,
}
"""Name of a view, as in `losses.Views`, to its images."""
