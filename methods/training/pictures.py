"""The log of a training as curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from methods.training.progress import Row

COLUMNS = 5


def curves(rows: Sequence[Row], path: Path) -> None:
    """A panel per column of the log over the epochs."""
    names = [name for name in rows[-1] if name != "epoch"]
    height = math.ceil(len(names) / COLUMNS)
    figure = Figure(figsize=(3 * COLUMNS, 2.4 * height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    for position, name in enumerate(names, start=1):
        axes = figure.add_subplot(height, COLUMNS, position)
        axes.plot([row["epoch"] for row in rows], [row.get(name, math.nan) for row in rows], marker=".")
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("epoch", fontsize=8)
    figure.savefig(path, format="png", metadata={"Software": None})
