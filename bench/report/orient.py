"""Values turned so that higher is better, and the share of the image that a method's maps keep."""

from __future__ import annotations

import numpy as np

from bench.core.metric import Metric
from bench.report.evidence import Evidence
from bench.tables.content import Cell, Line

AREA = "AREA"


def goodness(line: Line, metric: Metric) -> float:
    """The value of a row, negated where lower is better."""
    value = line.cells.get(metric.name, Cell()).value
    return -value if metric.better == "lower" else value


def areas(evidence: Evidence) -> dict[str, float]:
    """By method: percent of the image that its scored maps keep, mean over images and pixels; of the table where it has
    the column, else of the stored maps."""
    column = {line.method.label: line.cells[AREA].value for line in evidence.board.lines if AREA in line.cells}
    if column:
        return column
    found: dict[str, list[float]] = {}
    for image in evidence.rows.image.unique():
        for method, saliency in evidence.maps(image).items():
            found.setdefault(method, []).append(100 * float(saliency.mean()))
    return {method: float(np.mean(values)) for method, values in found.items()}
