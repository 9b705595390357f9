"""Whether the measured methods stand to one another as the printed ones do: signs of differences, and ranks."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from bench.core.metric import METRICS
from bench.paper.measured import Measured
from bench.paper.tables import PaperTable, Row
from bench.tables.leaderboard import REFERENCE

DIFFERENCES = ["model", "method", "metric", "paper", "measured", "low", "high", "n", "sign"]


def differences(table: PaperTable, labels: dict[Row, str], found: dict[Row, Measured]) -> pd.DataFrame:
    """A row per method other than Grad-CAM and metric: the printed difference from the model's Grad-CAM row, the
    measured one, paired over the images of both with its 95 % interval, and `sign`.

    sign: `same`, `opposite`, `not told apart` where the interval holds 0 and the printed signs differ or are 0, and
    `equal` where both differences are 0.
    """
    numbers = {(r.model, r.method, r.metric): float(r.paper) for r in table.printed.itertuples()}
    reference = {row.model: row.method for row in table.rows if row.spec == REFERENCE}
    records = []
    for row, measured in found.items():
        for metric in table.printed.metric.unique():
            difference = measured.differences.get((labels[row], metric))
            pair = [numbers.get((row.model, method or "", metric)) for method in (row.method, reference.get(row.model))]
            if difference is None or None in pair:
                continue
            printed = round(pair[0] - pair[1], 6)  # type: ignore[operator]
            records.append([row.model, row.method, metric, printed, difference.difference, difference.low,
                            difference.high, difference.n, sign(printed, difference.difference, difference.low,
                                                                difference.high)])  # fmt: skip
    return pd.DataFrame(records, columns=DIFFERENCES)


def sign(printed: float, measured: float, low: float, high: float) -> str:
    if math.isclose(measured, 0, abs_tol=1e-3):
        measured = 0.0
    if printed == measured == 0:
        return "equal"
    if printed * measured > 0:
        return "same"
    return "opposite" if (low > 0 or high < 0) and printed != 0 else "not told apart"


def ranks(cells: pd.DataFrame) -> pd.DataFrame:
    """Spearman's rank correlation of printed and measured values per model and metric (columns model, metric, spearman,
    n). Methods that share both values count once; NaN under three methods."""
    records = []
    known = cells.dropna(subset=["measured"])
    known = known[(known.paper != "") & known.metric.isin([*(entry.name for entry in METRICS), "T"])]
    for (model, metric), part in known.groupby(["model", "metric"], sort=False):
        pairs = {(float(paper), round(measured, 6)) for paper, measured in zip(part.paper, part.measured, strict=True)}
        x, y = np.array(sorted(pairs)).T
        varied = len(pairs) > 2 and np.ptp(x) > 0 and np.ptp(y) > 0
        records.append([model, metric, float(spearmanr(x, y).statistic) if varied else math.nan, len(pairs)])
    return pd.DataFrame(records, columns=["model", "metric", "spearman", "n"])
