"""The map as a segmentation of the object: pixel accuracy and mean intersection over union."""

from __future__ import annotations

import numpy as np

from bench.core.metric import Case, metric
from metrics.ground_truth import BoolArray
from metrics.regions import values

CHEFER = "Chefer et al. 2021, arXiv 2012.09838"


def parts(case: Case) -> tuple[BoolArray, BoolArray] | None:
    """What the map takes for the object, S > mean(S), and the object, both over the pixels that are annotated."""
    if case.mask is None:
        return None
    mask = case.mask.cpu().numpy()
    known = mask != 255
    if not known.any():
        return None
    scores = values(case)
    return (scores > scores.mean())[known], (mask == 1)[known]


@metric("PIXACC", kind="map", better="higher", title="Pixel accuracy", paper=CHEFER, needs="masks",
        bounds=(0, 1))  # fmt: skip
def pixel_accuracy(case: Case) -> float:
    """Share of pixels on which S > mean(S) and the object mask agree, in [0, 1]. NaN without a mask.

    Known failure: an empty map is right about all of the background.
    """
    found = parts(case)
    return float((found[0] == found[1]).mean()) if found else float("nan")


@metric("MIOU", kind="map", better="higher", title="Mean intersection over union", paper=CHEFER, needs="masks",
        bounds=(0, 1))  # fmt: skip
def mean_iou(case: Case) -> float:
    """Mean of the intersection over union of S > mean(S) with the object and of the rest with the background, in
    [0, 1]; a part that is empty on both sides does not count. NaN without a mask.

    Known failure: one threshold for all maps; a map with a long tail loses.
    """
    found = parts(case)
    if found is None:
        return float("nan")
    drawn, true = found
    overlaps = [
        float((one & other).sum() / (one | other).sum())
        for one, other in ((drawn, true), (~drawn, ~true))
        if (one | other).any()
    ]
    return float(np.mean(overlaps))
