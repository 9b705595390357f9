"""The localisation metrics of the Opti-CAM paper, and the grid pointing game: does the map lie on the object?

An image without boxes has no value (NaN). `bench.core.protocols` has two switches, `boxes` and `axes`, with which
`opticam-2024-loc` measures as the code behind the printed tables did.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from bench.core.metric import Case, Scores, metric
from bench.core.protocols import Protocol
from metrics.ground_truth import IntArray, clipped, true_boxes, union
from metrics.regions import INCLUSIVE, FloatArray, areas, energy, estimated_box, iou, maxima, soft_mask

CASM = "Zolna et al. 2020 (CASM), arXiv 1805.08249"
OPTI_CAM = "Zhang et al. 2024 (Opti-CAM), arXiv 2301.07002"
EXCITATION_BACKPROP = "Zhang et al. 2016 (Excitation Backprop), arXiv 1608.00507"
SCORE_CAM = "Wang et al. 2020 (Score-CAM), arXiv 1910.01279"
DABKOWSKI = "Dabkowski & Gal 2017, arXiv 1705.07857"
BOEHLE = "Böhle et al. 2021 (CoDA-Net), arXiv 2104.00032"

NO_VALUE = float("nan")
EPSILON = 1e-6
"""Keeps F1 finite for an empty map, as in the code of Phang et al. (zphang/saliency_investigation)."""


@metric("LE", kind="map", better="lower", title="Localisation Error", paper=CASM, needs="boxes", rate=True)
def localisation_error(case: Case) -> float:
    """1 − 1[IoU > 0.5] for the best of the object's boxes: 0 or 1, and 1 for a constant map.

    The estimated box surrounds the largest 4-connected component of S > mean(S) and is one pixel short
    (`regions.estimated_box`), as in the code of Phang et al. It lies in the image, so the intersection does too; the
    union counts the area of the object's box as the protocol gives it, under
    `boxes=unclipped` also what lies outside the image.

    Known failure: it judges a box of a threshold at the mean, so that a wide map of the right size hits; and a
    network may rightly look outside the object.
    """
    return 1 - localised(case)


@metric("OM", kind="map", better="lower", title="Official Metric", paper=CASM,
        needs="boxes", rate=True)  # fmt: skip
def official_metric(case: Case) -> float:
    """As LE, but a hit also needs the classifier's top class to be the label: 0 or 1, OM ≥ LE. NaN without label.

    Known failure: most of it is the network's top-1 error, which no explainer can change.
    """
    if case.label is None:
        return NO_VALUE
    return 1 - localised(case) * (case.predicted == case.label)


def localised(case: Case) -> float:
    """1[IoU > 0.5] of the estimated box with any of the object's boxes; NaN without boxes."""
    boxes, estimated = true_boxes(case), estimated_box(case)
    if boxes is None:
        return NO_VALUE
    return float(estimated is not None and (iou(estimated[None], boxes) > 0.5).any())


@metric("F1", kind="map", better="higher", title="Pixel-wise F1", paper=CASM, needs="boxes",
        bounds=(0, 1))  # fmt: skip
def pixel_f1(case: Case) -> float:
    """2PR / (P + R + 1e-6) for the best of the object's boxes, in [0, 1).

    P = Σ S in the box / (Σ S + 1e-6), R = Σ S in the box / area of the box as the protocol gives it; the soft map
    itself is counted. A box without area gives 0.

    Known failure: recall counts the soft map's height, so that wide maps win: Fake-CAM, all ones, has 60.5 on 1000
    images, before every method.
    """
    boxes, saliency = true_boxes(case), soft_mask(case)
    if boxes is None:
        return NO_VALUE
    inside = np.array([crop(saliency, box).sum() for box in boxes])
    precision, recall = inside / (energy(case) + EPSILON), inside / areas(boxes).clip(1)
    return float((2 * precision * recall / (precision + recall + EPSILON)).max())


@metric("BA", kind="map", better="higher", title="Box Accuracy (our reading)", paper=OPTI_CAM, needs="boxes", rate=True)
def box_accuracy(case: Case) -> float:
    """1[IoU > 0.5] with the first of the object's boxes, cut to the image: 0 or 1.

    The paper names no rule. This is ours, and the simplest that we found to agree with the printed Fake-CAM row (47.9)
    on the boxes of the 50,000 validation images: LE's region, its last row and column counted as such (0, 0, 224, 224
    for a whole map), and widths and heights one larger on both sides of the IoU. MaxBoxAcc is the defined metric.

    Known failure: the rule is a guess; compare MaxBoxAcc.
    """
    boxes, estimated = true_boxes(case), estimated_box(case)
    if boxes is None:
        return NO_VALUE
    first = clipped(boxes[:1], *case.map.shape) + INCLUSIVE
    return float(estimated is not None and iou(estimated[None] + 2 * INCLUSIVE, first)[0, 0] > 0.5)


@metric("SP", kind="map", better="higher", title="Standard Pointing game", paper=EXCITATION_BACKPROP, rate=True,
        needs="boxes")  # fmt: skip
def standard_pointing(case: Case) -> float:
    """1[a maximum of S lies in one of the object's boxes], ends included: 0 or 1. No tolerance.

    Every tied maximum is tried, so a saturated map hits easily; a constant map has no maximum and misses.
    `axes=swapped` compares the row with xmin … xmax and the column with ymin … ymax.

    Known failure: one pixel decides, and a map with many maxima hits with any: Fake-CAM has 100.
    """
    boxes, top = true_boxes(case), maxima(case)
    if boxes is None:
        return NO_VALUE
    read = top.T if case.protocol.axes == "swapped" else top
    return float(any(crop(read, box).any() for box in boxes + INCLUSIVE))


@metric("EP", kind="map", better="higher", title="Energy Pointing game", paper=SCORE_CAM, needs="boxes",
        bounds=(0, 1))  # fmt: skip
def energy_pointing(case: Case) -> float:
    """Σ S in the union of the object's boxes / Σ S, in [0, 1]; 0 for the zero map.

    `axes=right`: boxes cut to the image. `axes=swapped`: S[xmin:xmax, ymin:ymax], rows first, with the protocol's
    boxes, where a negative start counts from the far end of the map and mostly leaves nothing.

    Known failure: large objects are hit by any map: the share of the image that the boxes cover is the value of
    Fake-CAM.
    """
    if case.protocol.axes == "right":
        return energy_pointing_right(case)
    boxes = true_boxes(case)
    return NO_VALUE if boxes is None else energy_share(soft_mask(case).T, boxes, energy(case))


@metric("EP-right", kind="map", better="higher", title="EP with right axes",
        paper=SCORE_CAM, needs="boxes", bounds=(0, 1))  # fmt: skip
def energy_pointing_right(case: Case) -> float:
    """EP with boxes cut to the image and columns read as columns, whatever the protocol's switches say, over the same
    images: under `boxes=unclipped` an image whose boxes lie wholly outside has 0.

    Known failure: that of EP.
    """
    boxes, saliency = true_boxes(case), soft_mask(case)
    return NO_VALUE if boxes is None else energy_share(saliency, clipped(boxes, *saliency.shape), energy(case))


@metric("GPG", kind="map", better="higher", title="Grid Pointing Game", paper=BOEHLE, needs="boxes",
        bounds=(0, 1))  # fmt: skip
def grid_pointing(case: Case) -> float:
    """Σ A⁺ in the box / Σ A⁺ for the positive part A⁺ of the raw map, in [0, 1]; 0 where nothing is positive.

    On a grid of images the box is the cell of the explained class. The raw map itself is summed where the edges of
    the boxes, cut to the image, fall between its pixels, so nothing leaks into a neighbouring cell; where they cut
    through its pixels, A⁺ is first upsampled bilinearly to the image. A raw map that is not finite explains nothing.

    Known failure: mosaics are unlike the images that the network was trained on, and a method is judged by the
    classifier's upper layers, which may mix the cells.
    """
    boxes, raw = true_boxes(case), case.raw_map.detach().double()
    if boxes is None:
        return NO_VALUE
    if not raw.isfinite().all():
        return 0.0
    positive, (height, width) = raw.relu(), case.map.shape
    boxes = clipped(boxes, height, width)
    cells, cut = np.divmod(boxes * np.tile(raw.shape[::-1], 2), (width, height, width, height))
    if not cut.any():
        return energy_share(positive.cpu().numpy(), cells, float(positive.sum()))
    upsampled = F.interpolate(positive[None, None], (height, width), mode="bilinear", antialias=True)[0, 0]
    return energy_share(upsampled.cpu().numpy(), boxes, float(upsampled.sum()))


def energy_share(values: FloatArray, boxes: IntArray, total: float) -> float:
    """Share of the total of (H, W) values in the union of the boxes, read by Python's slices; 0 for a total of 0."""
    if total <= 0:
        return 0.0
    if len(boxes) == 1:
        x0, y0, x1, y1 = boxes[0].tolist()
        return float(values[y0:y1, x0:x1].sum() / total)
    return float(np.vdot(union(boxes, values.shape), values) / total)


def crop(array: NDArray[Any], box: IntArray) -> NDArray[Any]:
    """What of the (H, W) array lies in a box that may reach beyond it."""
    x0, y0, x1, y1 = (max(0, end) for end in box.tolist())
    return array[y0:y1, x0:x1]


def box_crop(case: Case) -> Iterator[torch.Tensor]:
    """The image within LE's estimated box, resized to the whole image by OpenCV's cubic interpolation.

    The paper's code crops the normalised image; as the interpolation is linear and its weights sum to 1, the [0, 1]
    pixels give the same as long as values beyond [0, 1] are kept. The empty box gives the mean colour, which is the
    zero image once normalised.
    """
    box, (height, width) = estimated_box(case), case.map.shape
    if box is None or areas(box) == 0:
        yield case.filled("mean")[None]
        return
    patch = crop(case.image.permute(1, 2, 0).float().cpu().numpy(), box)
    resized = cv2.resize(patch, (width, height), interpolation=cv2.INTER_CUBIC)
    yield torch.from_numpy(resized).permute(2, 0, 1).to(case.image)[None]


def one_crop(protocol: Protocol) -> int:
    return 1


@metric("SM", kind="score", better="lower", title="Saliency Metric", paper=DABKOWSKI, derive=box_crop,
        n_derived=one_crop, needs="boxes", scale=1)  # fmt: skip
def saliency_metric(scores: Scores) -> float:
    """ln max(a, 0.05) − ln p(label | crop), in nats: a is the share of the image in LE's estimated box, p the
    probability of the label for that box's pixels alone, enlarged. From ln 0.05 up; an empty box has a = 0.

    NaN without label, and without boxes too, so that it is over the images of its neighbours in the table.

    Known failure: the crop is enlarged and may be cut amiss, and small boxes are rewarded by ln a however the
    object is framed.
    """
    case, box = scores.case, estimated_box(scores.case)
    if case.boxes is None or case.label is None:
        return NO_VALUE
    share = 0.0 if box is None else float(areas(box)) / case.map.numel()
    return math.log(max(share, 0.05)) - float(scores.derived[0, case.label])
