"""What judges say, from stored rows: the panel's columns, and where a judge sees the explained class itself."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.core.metric import Metric, PanelMetric
from bench.scoring.evaluate import top_column


def with_judgements(scores: pd.DataFrame, metrics: Sequence[Metric]) -> pd.DataFrame:
    """Rows with the panel's columns, means over its judges where all of them have a value, and by the name of every
    judged column NAME_agrees: whether the judge, or each of the panel, puts the explained class first in the untouched
    image; NA where that was not stored."""
    panels = [metric for metric in metrics if isinstance(metric, PanelMetric)]
    agrees: dict[str, pd.Series] = {}
    for metric in metrics:
        if metric.judge and not isinstance(metric, PanelMetric):
            known = top_column(metric.judge) in scores
            top = scores[top_column(metric.judge)].astype("float64") if known else pd.Series(float("nan"), scores.index)
            agrees[metric.name] = (top == scores.target).astype("boolean").where(top.notna())
    for panel in panels:
        parts = list(panel.parts)
        scores[panel.name] = scores[parts].mean(axis=1, skipna=False)
        agrees[panel.name] = pd.concat([agrees[part] for part in parts], axis=1).all(axis=1, skipna=False)
        there = scores[panel.name].notna()
        scores["have"] = [[*have, panel.tag] if known else have for have, known in zip(scores.have, there, strict=True)]
    return scores.assign(**{f"{name}_agrees": values for name, values in agrees.items()})
