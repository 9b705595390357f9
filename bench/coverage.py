"""How often a table's 95 % intervals hold the true mean, measured on stored rows.

    python -m bench.coverage --rows results/published/decoder_study/reporting-700 --size 20,100

The stored values of a method under a metric are taken as the population. Samples of each size are drawn from it with
replacement, and counted is how many of their intervals hold the population's mean; then the same for the differences
from a reference method. Plain Student's t stands beside it. The same seed gives the same numbers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from bench.core.errors import UsageError, suggest
from bench.core.metric import METRICS, Metric
from bench.core.spec import split_list
from bench.plugins import register
from bench.tables.leaderboard import REFERENCE
from bench.tables.panel import mean_difference_interval, value_interval
from bench.tables.statistics import FEWEST_FOR_INTERVAL, LEVEL, Array

SMALLEST = 50
"""Images that a method must have to stand for a population."""

Interval = Callable[[Array], tuple[float, float]]


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.coverage",
        description="Measure how often the tables' 95 % intervals hold the true mean.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--rows", type=Path, required=True, help="a results folder with scores/, or a Parquet file of scores")
    add("--size", default="20,100", help="images in a sample, one or more numbers")
    add("--samples", type=int, default=2000, help="samples drawn for every method, metric and size")
    add("--metrics", default="all", help="names of stored columns")
    add("--reference", default=REFERENCE, help="method from which differences are taken")
    add("--seed", type=int, default=0)
    return parser


def load(rows: Path) -> pd.DataFrame:
    """The stored scores, a row per method × image. Raises UsageError where there are none."""
    files = [rows] if rows.is_file() else sorted((rows / "scores").glob("*.parquet"))
    if not files:
        raise UsageError(f"--rows {rows} is neither a Parquet file nor a folder with scores/*.parquet")
    scores = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    return scores.groupby(["method", "image"], as_index=False).first()


def chosen(names: str, scores: pd.DataFrame) -> list[Metric]:
    """The stored metrics that are means over images. Raises UsageError for one that is not."""
    means = [entry.value for entry in METRICS if not entry.value.pool]
    stored = {metric.name: metric for metric in means if metric.name in scores and scores[metric.name].notna().any()}
    asked = list(stored) if names == "all" else split_list(names)
    for name in asked:
        if name not in stored:
            raise UsageError(f"these rows hold no metric {name!r} that is a mean over images; {suggest(name, stored)}")
    return [stored[name] for name in asked]


def sizes(text: str) -> list[int]:
    """The sizes of a list such as `20,100`. Raises UsageError for one without an interval."""
    for item in split_list(text):
        if not item.isdecimal() or int(item) < FEWEST_FOR_INTERVAL:
            raise UsageError(f"--size {item!r} is not a number of images from {FEWEST_FOR_INTERVAL} on")
    return [int(item) for item in split_list(text)]


def populations(scores: pd.DataFrame, metric: Metric, reference: str) -> Iterator[tuple[str, Array, Interval]]:
    """(what, values, the tables' interval) of every method's mean and of every method's difference from `reference`."""
    wide = scores.pivot(index="image", columns="method", values=metric.name).sort_index()
    for method in wide:
        values = wide[method].dropna().to_numpy(dtype=np.float64)
        if len(values) >= SMALLEST:
            yield "mean", values, partial(value_interval, metric)
        if method == reference or reference not in wide:
            continue
        paired = (wide[method] - wide[reference]).dropna().to_numpy(dtype=np.float64)
        if len(paired) >= SMALLEST and np.ptp(paired) > 0:
            yield "difference", paired, partial(mean_difference_interval, metric)


def student(sample: Array) -> tuple[float, float]:
    """Student's t interval of the textbooks."""
    reach = stdtrit(len(sample) - 1, (1 + LEVEL) / 2) * sample.std(ddof=1) / len(sample) ** 0.5
    return float(sample.mean() - reach), float(sample.mean() + reach)


def held(values: Array, interval: Interval, size: int, samples: int, seed: Sequence[int]) -> float:
    """Share of `samples` samples of (n,) values whose interval holds the mean of all; rounding does not decide."""
    draws = values[np.random.default_rng([*seed, size]).integers(0, len(values), (samples, size))]
    mean, rounding = values.mean(), 1e-9 * np.abs(values).max()
    ends = np.array([interval(sample) for sample in draws])
    return float(((ends[:, 0] <= mean + rounding) & (mean - rounding <= ends[:, 1])).mean())


def measure(
    scores: pd.DataFrame, metrics: Sequence[Metric], size: Sequence[int], samples: int, seed: int, reference: str
) -> pd.DataFrame:
    """A row per metric, kind (mean or difference) and size: methods, coverage in percent averaged over the methods and
    of the worst one, and the average coverage of Student's t."""
    records = [
        (metric.name, what, n, *(held(values, kind, n, samples, [seed, i]) for kind in (interval, student)))
        for metric in metrics
        for i, (what, values, interval) in enumerate(populations(scores, metric, reference))
        for n in size
    ]
    frame = pd.DataFrame(records, columns=["metric", "of", "n", "covers", "student"])
    grouped = frame.groupby(["of", "n", "metric"], sort=False)
    found = grouped.agg(
        methods=("covers", "size"), covers=("covers", "mean"), worst=("covers", "min"), student=("student", "mean")
    ).reset_index()
    for name in ("covers", "worst", "student"):
        found[name] = (100 * found[name]).round(1)
    return found.sort_values(["of", "n"], ascending=[False, True], kind="stable")


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    try:
        scores, size = load(args.rows), sizes(args.size)
        if args.samples < 1:
            raise UsageError(f"--samples must be at least 1, not {args.samples}")
        found = measure(scores, chosen(args.metrics, scores), size, args.samples, args.seed, args.reference)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(found.to_string(index=False))
    return 0


if __name__ == "__main__":
    register()
    sys.exit(main())
