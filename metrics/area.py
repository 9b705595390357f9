"""Area of the map: how much of the image it keeps."""

from __future__ import annotations

from bench.core.metric import Case, metric


@metric("AREA", kind="map", better="none", title="Area (mean of the map)",
        paper="Dabkowski & Gal 2017 (RTIS), arXiv 1705.07857 (its area term)", bounds=(0, 1))  # fmt: skip
def area(case: Case) -> float:
    """mean over pixels of m, in [0, 1]; tables show %. A description, not a score: 1 shows the whole image.

    Known failure: it says how much is shown, not whether it is the right part.
    """
    return float(case.map.double().mean())
