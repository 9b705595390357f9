"""Tiles of pictures: a saliency map in colour over the grey image."""

from __future__ import annotations

from functools import cache

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap
from numpy.typing import NDArray

from bench.report.style import DIVERGING

Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]

SEQUENTIAL = colormaps["inferno"]
OPACITY = 0.62
"""Of the map over the image: both are seen."""
LUMA = np.array([0.299, 0.587, 0.114])
LEVELS = 256


def heat(saliency: Map, signed: bool = False) -> Pixels:
    """(H, W) map in [0, 1], or in [-1, 1] where it is signed, as (H, W, 3) colours.

    >>> heat(np.array([[0.0, 1.0]], dtype=np.float32)).shape
    (1, 2, 3)
    """
    share = (saliency + 1) / 2 if signed else saliency
    levels = np.clip(np.nan_to_num(share) * (LEVELS - 1), 0, LEVELS - 1).round().astype(int)
    picked: Pixels = colours(signed)[levels]
    return picked


@cache
def colours(signed: bool) -> Pixels:
    """(256, 3) colours from the lowest to the highest level."""
    chosen: Colormap = DIVERGING if signed else SEQUENTIAL
    rgb = np.asarray(chosen(np.linspace(0, 1, LEVELS)), dtype=np.float64)[:, :3]
    return np.asarray(np.round(rgb * 255), dtype=np.uint8)


def overlay(pixels: Pixels, saliency: Map, signed: bool = False) -> Pixels:
    """The map's colours over the image in grey, (H, W, 3)."""
    grey = (pixels @ LUMA)[..., None]
    if signed:
        grey = 128 + grey / 2  # white is zero, so that the image under it must be light
    blended: Pixels = (OPACITY * heat(saliency, signed) + (1 - OPACITY) * grey).round().astype(np.uint8)
    return blended
