"""Can the metrics be trusted? From the stored rows of results folders, without a pass of any network.

    python -m bench.trust RESULTS [RESULTS ...]

Of each folder: how much the images agree about the methods (Krippendorff's α over images, on ranks), how firmly the
ranking stands when the images are drawn again or halved (mean Kendall's τ), whether rightly and wrongly classified
images rank alike (τ), and how the ranking agrees with AREA, the share of the image that a map shows; all over the
methods that have the most images. Of several folders, which may differ in protocol, images or network:
Kendall's τ between their rankings, metric by metric. Controls are left out.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bench.api.results import Results, load_results
from bench.core.errors import UsageError
from bench.tables.reliability import between, kendall, reliability

AREA = "AREA"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.trust", description="How far the metrics of stored results can be trusted."
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="RESULTS", help="results folders")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def of_folder(results: Results, seed: int) -> list[str]:
    """A Markdown table, a metric a row."""
    table, scores = methods_of(results), results.scores()
    right = results.right()
    heads = ("metric", "methods", "images", "α over images", "τ of resamples", "τ of halves", "τ right–wrong",
             "τ with AREA")  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    for name in results.names:
        wide = scores[name].unstack("method")
        wide = wide[[method for method in wide if method in table.index]]
        one = reliability(name, wide.to_numpy(float), seed)
        full = wide.loc[:, wide.count() == wide.count().max()]
        split = kendall(*(full[right.reindex(full.index) == side].mean().to_numpy(float) for side in (True, False)))
        area = math.nan
        if AREA in table and name != AREA:
            same = table.loc[full.columns]
            area = kendall(same[name].to_numpy(float), same[AREA].to_numpy(float))
        cells = [f"{x:.2f}" if math.isfinite(x) else "–" for x in (one.alpha, one.stability, one.halves, split, area)]
        lines.append(f"| {name} | {one.methods} | {one.images} | {' | '.join(cells)} |")
    return lines


def methods_of(results: Results) -> pd.DataFrame:
    """The table's rows of methods, controls, failures and second rows of equal maps left out."""
    table = results.frame()
    kept = (table["status"] == "ok") & ~table["control"].astype(bool) & table["equal_to"].isna()
    return table[kept]


def compared(found: Sequence[Results], names: Sequence[str]) -> list[str]:
    """Kendall's τ between the folders' rankings, metric by metric."""
    tables = [methods_of(one) for one in found]
    metrics = [name for name in found[0].names if all(name in one.names for one in found)]
    pairs = [(i, j) for i in range(len(found)) for j in range(i)]
    lines = ["| metric | " + " | ".join(f"{names[j]} and {names[i]}" for i, j in pairs) + " |",
             "|---|" + "---:|" * len(pairs)]  # fmt: skip
    for metric in metrics:
        matrix = between(tables, metric)
        cells = [f"{matrix[i][j]:.2f}" if np.isfinite(matrix[i][j]) else "–" for i, j in pairs]
        lines.append(f"| {metric} | {' | '.join(cells)} |")
    return lines


def main(arguments: list[str]) -> int:
    args = build_parser().parse_args(arguments)
    try:
        found = [load_results(folder) for folder in args.folders]
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    names = [folder.resolve().name for folder in args.folders]
    for name, results in zip(names, found, strict=True):
        print(f"## {name}\n")
        print("\n".join(of_folder(results, args.seed)), end="\n\n")
    if len(found) > 1:
        print("## Kendall's τ between the rankings\n")
        print("\n".join(compared(found, names)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
