"""The box that a map draws around the object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.report.tiles import Map
from metrics.ground_truth import clipped
from metrics.regions import INCLUSIVE, box_around_largest, iou

Boxes = NDArray[np.float64]


def threshold_box(saliency: Map, share: float) -> Boxes | None:
    """(4,) x0, y0, x1, y1, ends exclusive: the upright box around the largest 4-connected part of the pixels with
    S >= share · max(S). None for a map that is zero everywhere.

    >>> threshold_box(np.array([[0, 0, 0], [0, 0.1, 1], [0.9, 0, 0.5]], dtype=np.float32), 0.2).tolist()
    [2.0, 1.0, 3.0, 3.0]
    """
    top = saliency.max()
    box = box_around_largest(saliency >= share * top) if top > 0 else None
    return None if box is None else (box + INCLUSIVE).astype(np.float64)


def best_overlap(box: Boxes | None, truth: Boxes, size: int) -> float:
    """Intersection over union with the best of the true boxes (n, 4), truncated to pixels and cut to the image as the
    metrics have them; 0 without a box."""
    whole = clipped(truth.astype(np.int64), size, size)
    return 0.0 if box is None else float(iou(box[None].astype(np.int64), whole).max())
