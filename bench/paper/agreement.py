"""Whether the measured methods stand to one another as the printed ones do: signs of differences, and ranks."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from bench.core.metric import METRICS
from bench.paper.measured import MeasuredRows
from bench.tables.leaderboard import REFERENCE
from bench.tables.paper_tables import PaperTable, Row

DIFFERENCES = ["model", "method", "metric", "paper", "measured", "low", "high", "n", "sign", "significant"]


def differences(table: PaperTable, labels: dict[Row, str], found: dict[Row, MeasuredRows]) -> pd.DataFrame:
    """A row per method other than Grad-CAM and metric: the printed difference from the model's Grad-CAM row, the
    measured one, paired over the images of both with its 95 % interval, and `sign`: `same`, `opposite`, `one is 0` or
    `equal` (both are 0). `significant` says whether the interval leaves out 0; the printed numbers have none.
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
            found_sign = sign(printed, difference.difference)
            significant = difference.low > 0 or difference.high < 0
            records.append([row.model, row.method, metric, printed, difference.difference, difference.low,
                            difference.high, difference.n, found_sign, significant])  # fmt: skip
    return pd.DataFrame(records, columns=DIFFERENCES)


def sign(printed: float, measured: float) -> str:
    """How two differences compare; below a thousandth of a unit is 0, as printed tables have one decimal."""
    first, second = (0.0 if abs(value) < 1e-3 else math.copysign(1, value) for value in (printed, measured))
    if first == second:
        return "same" if first else "equal"
    return "opposite" if first and second else "one is 0"


def ranks(cells: pd.DataFrame) -> pd.DataFrame:
    """Spearman's rank correlation of printed and measured values per model and metric (columns model, metric, spearman,
    n). Methods that share the printed value, and the measured one to a thousandth, count once: they are one map under
    two names. NaN under three methods."""
    records = []
    known = cells.dropna(subset=["measured"])
    known = known[(known.paper != "") & known.metric.isin([*(entry.name for entry in METRICS), "T"])]
    for (model, metric), part in known.groupby(["model", "metric"], sort=False):
        measured = [round(float(f"{value:.6g}"), 3) for value in part.measured]  # of the digits that the CSV keeps
        pairs = set(zip(part.paper.astype(float), measured, strict=True))
        x, y = np.array(sorted(pairs)).T
        varied = len(pairs) > 2 and np.ptp(x) > 0 and np.ptp(y) > 0
        records.append([model, metric, float(spearmanr(x, y).statistic) if varied else math.nan, len(pairs)])
    return pd.DataFrame(records, columns=["model", "metric", "spearman", "n"])
