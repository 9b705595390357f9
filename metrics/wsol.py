"""Metrics of weakly supervised object localisation, among them those that choose one threshold for all images.

Pooled metrics keep a vector per image, from which `pool` makes the value over images; an image's own value is for the
table of images only.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch

from bench.core.metric import Case, Value, metric, once_per_map
from metrics.ground_truth import IntArray, clipped, true_boxes, union
from metrics.regions import INCLUSIVE, box_around_largest, iou, soft_mask, values

CHOE_2020 = "Choe et al. 2020, arXiv 2001.07437"
CHOE_2022 = "Choe et al. 2022, arXiv 2007.04178"
ZHOU = "Zhou et al. 2016 (CAM), arXiv 1512.04150"

THRESHOLDS = 100
"""τ = 0, 0.01, …, 0.99."""
OVERLAPS = np.array([0.3, 0.5, 0.7])
EDGES = np.append(np.arange(101) / 100, 2.0)
"""Bins [0, 0.01), …, [0.99, 1) and one for 1, as in wsolevaluation."""

NO_VALUE = Value(float("nan"))


def best_threshold(vectors: Any) -> float:
    """(N, 3 or 1 × THRESHOLDS) hits, overlap by overlap: the best hit rate over thresholds, averaged over overlaps."""
    rates = np.asarray(vectors).mean(0).reshape(-1, THRESHOLDS)
    return float(rates.max(1).mean())


@metric("MaxBoxAcc", kind="map", better="higher", title="Box accuracy at the best threshold", paper=CHOE_2020,
        pool=best_threshold, needs="boxes")  # fmt: skip
def max_box_accuracy(case: Case) -> Value:
    """max over τ of the share of images that are hit; the vector holds the 100 hits, the value their mean.

    For τ = 0, 0.01, …, 0.99 the map in 8 bits, truncated, is cut at > τ · max; the upright rectangle around the contour
    of largest area (OpenCV, RETR_TREE, CHAIN_APPROX_SIMPLE), of which x + w and y + h are cut to the last pixel, is
    the estimated box, 0, 0, 0, 0 where there is no contour. A hit has IoU ≥ 0.5, with widths and heights one larger,
    with any of the object's boxes.

    Known failure: one threshold is chosen on the images that are judged, and boxes say nothing of what inside them
    was used.
    """
    boxes = true_boxes(case)
    if boxes is None:
        return NO_VALUE
    estimated, starts = contour_boxes(case)
    return of_hits(iou(estimated[starts] + INCLUSIVE, boxes + INCLUSIVE).max(1) >= 0.5)


@metric("MaxBoxAccV2", kind="map", better="higher", title="Box accuracy at the best threshold, any contour",
        paper=CHOE_2022, pool=best_threshold, needs="boxes")  # fmt: skip
def max_box_accuracy_v2(case: Case) -> Value:
    """As MaxBoxAcc with the rectangles of all contours, of which the best counts, averaged over IoU ≥ 0.3, 0.5 and 0.7,
    each with its own best τ; the vector holds the 3 · 100 hits, the value their mean.

    Known failure: as MaxBoxAcc; the best of all contours is chosen with the boxes at hand.
    """
    boxes = true_boxes(case)
    if boxes is None:
        return NO_VALUE
    estimated, starts = contour_boxes(case)
    best = np.maximum.reduceat(iou(estimated + INCLUSIVE, boxes + INCLUSIVE).max(1), starts)
    return of_hits(best >= OVERLAPS[:, None])


def of_hits(hits: Any) -> Value:
    return Value(float(hits.mean()), torch.from_numpy(hits.ravel().astype(np.float64)))


@once_per_map
def contour_boxes(case: Case) -> tuple[IntArray, IntArray]:
    """(m, 4) boxes of the contours at all thresholds and, (THRESHOLDS,), where those of each threshold start: the
    contour of largest area comes first."""
    image = (soft_mask(case) * 255).astype(np.uint8)
    # Pixels are whole numbers: > τ · max is > its integer part.
    levels, threshold = np.unique(np.arange(THRESHOLDS) * int(image.max()) // THRESHOLDS, return_inverse=True)
    found = [rectangles((image > level).astype(np.uint8)) for level in levels]
    boxes = [found[i] for i in threshold]
    lengths = [len(some) for some in boxes]
    return np.concatenate(boxes), np.cumsum([0, *lengths[:-1]])


def rectangles(binary: Any) -> IntArray:
    """(k, 4) upright rectangles around the contours of a binary image, that of largest area first."""
    height, width = binary.shape
    contours = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
    boxes = [cv2.boundingRect(contour) for contour in sorted(contours, key=cv2.contourArea, reverse=True)]
    return np.array([(x, y, min(x + w, width - 1), min(y + h, height - 1)) for x, y, w, h in boxes or [(0, 0, 0, 0)]])


@metric("BoxAcc20", kind="map", better="higher", title="Box accuracy at 20 % of the maximum", paper=ZHOU,
        needs="boxes", rate=True)  # fmt: skip
def box_accuracy_20(case: Case) -> float:
    """1[IoU ≥ 0.5] of the box around the largest 4-connected component of S > 0.2 · max(S), last row and column
    included, with any of the object's boxes: 0 or 1.

    Known failure: the threshold is fixed, so that a monotone transform of the map (`grad-cam(gamma=…)`) changes the
    value.
    """
    boxes, estimated = true_boxes(case), box_at_20(case)
    if boxes is None:
        return NO_VALUE.value
    return float(estimated is not None and (iou(estimated[None] + INCLUSIVE, boxes) >= 0.5).any())


@once_per_map
def box_at_20(case: Case) -> IntArray | None:
    """(4,) box, by first and last column and row, around the largest component above 20 % of the maximum."""
    scores = values(case)
    return box_around_largest(scores > 0.2 * scores.max())


@metric("AUC", kind="map", better="higher", title="Pixel ROC-AUC", paper="Fawcett 2006 (ROC analysis)", needs="boxes",
        bounds=(0, 1))  # fmt: skip
def pixel_auc(case: Case) -> float:
    """Area under the ROC curve of S as a classifier of pixels into object and background, in [0, 1]: the probability
    that an object pixel has a larger value than a background pixel, a tie counting one half.

    The object is its mask, without the pixels to be ignored, where there is one, else the union of its boxes, cut to
    the image. NaN without either and where all pixels are of one kind.

    Known failure: a box holds background too, whose pixels count as the object's; ties of a nearly binary map count
    one half.
    """
    saliency, boxes = values(case), true_boxes(case)
    if case.mask is not None:
        mask = case.mask.cpu().numpy()
        saliency, is_object = saliency[mask != 255], mask[mask != 255] == 1
    elif boxes is not None:
        is_object = union(clipped(boxes, *saliency.shape), saliency.shape)
    else:
        return NO_VALUE.value
    if is_object.all() or not is_object.any():
        return NO_VALUE.value
    from sklearn.metrics import roc_auc_score  # takes two seconds to import

    return float(roc_auc_score(is_object.ravel(), saliency.ravel()))


def average_precision(vectors: Any) -> float:
    """(N, 2 · bins) pixel counts to Σ precision · Δrecall over all images' pixels, from the highest bin down; NaN
    without object pixels. Equal to scikit-learn's average_precision_score, and quick enough for a bootstrap."""
    true, false = np.asarray(vectors).sum(0).reshape(2, -1)[:, ::-1].cumsum(1)
    if true[-1] == 0:
        return float("nan")
    precision = true / np.maximum(true + false, 1)
    return float(precision @ np.diff(true, prepend=0) / true[-1])


@metric("PxAP", kind="map", better="higher", title="Pixel Average Precision", paper=CHOE_2020, pool=average_precision,
        needs="masks")  # fmt: skip
def pixel_average_precision(case: Case) -> Value:
    """Average precision of S > τ over the pixels of all images together, in [0, 1], on bins of 0.01, without the pixels
    to be ignored. The vector holds the pixel counts of the object and of the background by bin (2 · 101 numbers), the
    value is the image's own average precision, NaN where no pixel is the object's.

    Known failure: images with large objects weigh more, as their pixels are counted together.
    """
    if case.mask is None:
        return NO_VALUE
    mask, saliency = case.mask.cpu().numpy(), soft_mask(case)
    counts = np.concatenate([np.histogram(saliency[mask == kind], EDGES)[0] for kind in (1, 0)]).astype(np.float64)
    return Value(average_precision(counts[None]), torch.from_numpy(counts))
