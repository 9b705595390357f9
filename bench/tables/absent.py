"""What has no value in a table, and why: counted, so that an empty cell is never a riddle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.core.errors import plural
from bench.core.metric import MapMetric, Metric


def absent(scores: pd.DataFrame, metrics: Sequence[Metric]) -> list[str]:
    """Sentences on columns without any value and on values that a network with a not finite answer left out.

    scores: a row per method × image, as `build_leaderboard` takes it.
    """
    if scores.empty:
        return []
    empty = [metric for metric in metrics if not has_value(scores, metric).any()]
    reasons: dict[str, list[str]] = {}
    for metric in empty:
        reasons.setdefault(reason(scores, metric, metrics), []).append(metric.name)
    lines = [
        f"{', '.join(names)} {'has' if len(names) == 1 else 'have'} no value: {why}" for why, names in reasons.items()
    ]
    counts = unanswered(scores, [metric for metric in metrics if metric not in empty])
    return [*lines, *([f"no value, since the network's answer is not finite: {counts}"] if counts else [])]


def has_value(scores: pd.DataFrame, metric: Metric) -> np.ndarray:
    """(rows,) whether the row has a finite value of the metric."""
    if metric.pool:
        vectors = scores.get(f"{metric.name}_vector", pd.Series([None] * len(scores)))
        return np.array([np.ndim(vector) > 0 and bool(np.isfinite(vector).all()) for vector in vectors])
    if metric.name not in scores:
        return np.zeros(len(scores), dtype=bool)
    result: np.ndarray = np.isfinite(scores[metric.name].to_numpy(dtype=np.float64, na_value=np.nan))
    return result


def computed(scores: pd.DataFrame, metric: Metric) -> np.ndarray:
    """(rows,) whether the metric was asked of the row at all."""
    if "have" not in scores:
        return has_value(scores, metric)
    return np.array([metric.tag in have for have in scores.have])


def reason(scores: pd.DataFrame, metric: Metric, metrics: Sequence[Metric]) -> str:
    """Why a column is empty."""
    if not computed(scores, metric).any():
        return "not computed yet"
    if metric.needs and not any(has_value(scores, other).any() for other in metrics if other.needs == metric.needs):
        return f"no image has object {metric.needs}"
    if isinstance(metric, MapMetric):
        return "not finite on any image"
    return "the network's answer is not finite on any image"


def unanswered(scores: pd.DataFrame, metrics: Sequence[Metric]) -> str:
    """`half-dead AD 3, AI 3 of 8 images; other D 1 of 8 images`: values that were asked for and are not finite.

    Metrics that need annotation lack values for another reason and are left out.
    """
    asked = [metric for metric in metrics if not isinstance(metric, MapMetric) and not metric.needs]
    lost = {metric.name: computed(scores, metric) & ~has_value(scores, metric) for metric in asked}
    parts = []
    for method, rows in sorted(scores.groupby("method").indices.items()):
        counts = [f"{name} {int(which[rows].sum())}" for name, which in lost.items() if which[rows].any()]
        if counts:
            parts.append(f"{method} {', '.join(counts)} of {plural(len(rows), 'image')}")
    return "; ".join(parts)
