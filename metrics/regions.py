"""From a saliency map to the box of its salient region, and the overlap of boxes.

Metrics ask the same things of the same map one after the other: each is computed once per map.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label

from bench.core.metric import Case, once_per_map
from metrics.ground_truth import BoolArray, IntArray

FloatArray = NDArray[np.float64]

INCLUSIVE = np.array([0, 0, 1, 1])
"""Added to boxes, it counts their last row and column in."""


@once_per_map
def values(case: Case) -> FloatArray:
    """(H, W) the case's map as a float64 array."""
    array: FloatArray = case.map.detach().double().cpu().numpy()
    return array


@once_per_map
def soft_mask(case: Case) -> FloatArray:
    """(H, W) map as a float64 array in [0, 1], the mask that AD, AG and AI lay over the image."""
    return values(case).clip(0, 1)


@once_per_map
def energy(case: Case) -> float:
    """Sum of the soft mask."""
    return float(soft_mask(case).sum())


@once_per_map
def maxima(case: Case) -> BoolArray:
    """(H, W) the pixels that hold the map's maximum, all tied ones; none in a constant map."""
    scores = values(case)
    result: BoolArray = (scores == scores.max()) & (scores.max() > scores.min())
    return result


@once_per_map
def estimated_box(case: Case) -> IntArray | None:
    """(4,) xmin, ymin, xmax, ymax around the largest 4-connected component of S > mean(S); None for a constant map.

    xmax and ymax are the indices of the last column and row: a box whose ends are exclusive, as everywhere else, is
    one pixel short, and 0, 0, 223, 223 stands for a whole map of 224 × 224. Both rules, S > mean(S) and the short box,
    are those of zphang/saliency_investigation (Phang et al. 2020, arXiv 2010.09750), with which the Opti-CAM tables are
    made. The code of CASM itself (kondiz/casme; Zolna et al. 2020, arXiv 1805.08249), which proposed the metrics, cuts
    the map at its k-th largest value and counts the last row and column in.
    """
    scores = values(case)
    return box_around_largest(scores > scores.mean())


def box_around_largest(binary: BoolArray) -> IntArray | None:
    """(4,) first and last column and row, xmin, ymin, xmax, ymax, of the 4-connected component with the most pixels,
    the first one from the top where several have as many; None where nothing is true."""
    components, count = label(binary)
    if count == 0:
        return None
    largest = np.bincount(components.ravel())[1:].argmax()
    rows, columns = find_objects(components)[largest]
    return np.array([columns.start, rows.start, columns.stop - 1, rows.stop - 1])


def areas(boxes: IntArray) -> IntArray:
    """(…, 4) boxes, ends exclusive, to (…) areas in pixels."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def iou(first: IntArray, second: IntArray) -> FloatArray:
    """(m, 4) and (n, 4) boxes, ends exclusive, to (m, n) intersection over union; 0 for an empty box."""
    start = np.maximum(first[:, None, :2], second[:, :2])
    end = np.minimum(first[:, None, 2:], second[:, 2:])
    common = (end - start).clip(0).prod(2)
    together = areas(first)[:, None] + areas(second) - common
    result: FloatArray = common / np.maximum(together, 1)
    return result
