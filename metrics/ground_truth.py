"""Where the object is: the boxes of a case in whole pixels, by the protocol's rule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.core.metric import Case

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def true_boxes(case: Case) -> IntArray | None:
    """(n, 4) object boxes x0, y0, x1, y1 in pixels of the map, ends exclusive; None where the image has none.

    Coordinates are truncated toward 0, as `int()` does. "clipped": cut to the image, and a box of which no pixel is
    left is dropped, so that an image may lose all of its boxes; "unclipped": as truncated, also wholly outside.
    """
    if case.boxes is None:
        return None
    boxes = case.boxes.cpu().numpy().astype(np.int64)
    if case.protocol.boxes == "clipped":
        boxes = clipped(boxes, *case.map.shape)
        boxes = boxes[(boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])]
    return boxes if len(boxes) else None


def clipped(boxes: IntArray, height: int, width: int) -> IntArray:
    """(n, 4) boxes cut to an image; one wholly outside becomes empty."""
    return np.minimum(np.maximum(boxes, 0), (width, height, width, height))


def union(boxes: IntArray, shape: tuple[int, ...]) -> BoolArray:
    """(H, W) the pixels of any box, [y0:y1, x0:x1] by Python's slices: a negative start counts from the far end."""
    mask = np.zeros(shape, dtype=bool)
    for x0, y0, x1, y1 in boxes.tolist():
        mask[y0:y1, x0:x1] = True
    return mask
