"""Do the methods agree? Rank correlation of the maps that they draw of the same images."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import rankdata

from bench.report.evidence import Evidence
from bench.report.figure import figure
from bench.report.figures.heatmap import heatmap

IMAGES, SIDE = 20, 56
"""Images at most, and the side to which maps are averaged before their pixels are ranked."""
MOST = 24
"""Methods that fit the page."""


@figure("methods")
def methods(evidence: Evidence) -> Figure | None:
    """Methods × methods: Spearman's ρ between their maps, the mean over at most 20 images. None under two methods."""
    names = [line.method.label for line, _ in evidence.board.folded if not line.method.control][:MOST]
    table = agreement(evidence, names)
    if len(names) < 2 or not np.isfinite(table).any():
        return None
    short = [str(i + 1) for i in range(len(names))]
    rows = [f"{number}  {name}" for number, name in zip(short, names, strict=True)]
    shown = [[float(x) if j < i else float("nan") for j, x in enumerate(row)] for i, row in enumerate(table)]
    texts = [["" if x != x else f"{x:+.1f}" for x in row] for row in shown]
    note = f"Spearman's ρ between the maps of the same images, mean; +1.0: the same order; column 1: {names[0]}"
    return heatmap("Agreement of the methods", note, rows[1:], short[:-1], [row[:-1] for row in shown[1:]],
                   [row[:-1] for row in texts[1:]], [1.0] * (len(names) - 1))  # fmt: skip


def agreement(evidence: Evidence, names: list[str]) -> NDArray[np.float64]:
    """(n, n) mean of Spearman's ρ over the images of which both methods have a map that is not constant, else NaN."""
    total = np.zeros((len(names), len(names)))
    count = np.zeros_like(total)
    for image in sorted(evidence.rows.image.unique())[:IMAGES]:
        maps = evidence.maps(image, names)
        ranks = np.full((len(names), SIDE * SIDE), np.nan)
        for i, name in enumerate(names):
            if name in maps and np.ptp(maps[name]) > 0:
                ranks[i] = rankdata(averaged(np.asarray(maps[name])))
        known = ~np.isnan(ranks[:, 0])
        if known.sum() < 2:
            continue
        rho = np.full_like(total, np.nan)
        rho[np.ix_(known, known)] = np.corrcoef(ranks[known])
        total += np.nan_to_num(rho)
        count += np.isfinite(rho)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def averaged(saliency: NDArray[np.float32]) -> NDArray[np.float64]:
    """(SIDE²,) a map (S, S), means over blocks of pixels where it is larger."""
    side = saliency.shape[0]
    edges = (np.arange(SIDE + 1) * side) // SIDE
    if side < SIDE:
        index = (np.arange(SIDE) * side) // SIDE
        return saliency[np.ix_(index, index)].astype(float).ravel()
    rows = np.add.reduceat(saliency.astype(float), edges[:-1], axis=0)
    sums = np.add.reduceat(rows, edges[:-1], axis=1)
    wide = np.diff(edges)
    means: NDArray[np.float64] = (sums / np.outer(wide, wide)).ravel()
    return means
