"""Gain over the best control: what a method adds to a map that knows nothing of the network."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from bench.core.metric import Metric
from bench.report.evidence import Evidence
from bench.report.figure import figure
from bench.report.figures.heatmap import heatmap
from bench.report.orient import goodness
from bench.tables.content import number, signed
from bench.tables.statistics import difference_interval


@figure("controls")
def controls(evidence: Evidence) -> Figure | None:
    """Methods × metrics: the difference from the best control of each metric, turned so that above zero is better."""
    board = evidence.board
    methods = [(line, name) for line, name in board.folded if not line.method.control]
    rivals = [line for line in board.controls if not line.method.sees_boxes]
    metrics, best = [], []
    for metric in board.metrics:
        known = [line for line in rivals if math.isfinite(goodness(line, metric))]
        if metric.better != "none" and metric.ranks and known:
            metrics.append(metric)
            best.append(max(known, key=lambda line: goodness(line, metric)))
    if not methods or not metrics:
        return None
    values = [
        [goodness(line, metric) - goodness(rival, metric) for metric, rival in zip(metrics, best, strict=True)]
        for line, _ in methods
    ]
    texts = [
        [shown(evidence, line.method.label, rival.method.label, metric, value)
         for metric, rival, value in zip(metrics, best, row, strict=True)]
        for (line, _), row in zip(methods, values, strict=True)
    ]  # fmt: skip
    finite = np.where(np.isfinite(values), np.abs(values), 0.0)
    columns = [f"{m.name} {m.arrow}\n{rival.method.label}" for m, rival in zip(metrics, best, strict=True)]
    note = "difference from the best control of each metric (named), above zero is better; *: 95 % interval without 0"
    return heatmap(
        "Gain over the best control",
        note,
        [name for _, name in methods],
        columns,
        values,
        texts,
        [float(x) for x in finite.max(0)],
    )


def shown(evidence: Evidence, method: str, control: str, metric: Metric, value: float) -> str:
    if not math.isfinite(value):
        return number(value, metric)
    return signed(value, metric) + ("*" if significant(evidence, method, control, metric) else "")


def significant(evidence: Evidence, method: str, control: str, metric: Metric) -> bool:
    """Whether Student's t interval of the paired difference over images leaves out zero."""
    if metric.pool or metric.name not in evidence.rows:
        return False
    wide = evidence.rows.set_index(["image", "method"])[metric.name].astype(float).unstack()
    if method not in wide or control not in wide:
        return False
    paired = (wide[method] - wide[control]).dropna().to_numpy()
    low, high = difference_interval(paired)
    return low > 0 or high < 0
