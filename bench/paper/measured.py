"""What was measured for the rows of one classifier: cells, paired differences, and reasons for what is not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from bench.core.metric import Metric
from bench.run.images import Images
from bench.tables.content import Cell, Difference
from bench.tables.leaderboard import REFERENCE
from bench.tables.panel import Panel


@dataclass(frozen=True)
class MeasuredRows:
    """By the explainer's label and the metric's name."""

    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    differences: dict[tuple[str, str], Difference] = field(default_factory=dict)
    """From Grad-CAM, over the images of both."""
    why: dict[str, str] = field(default_factory=dict)
    """By label: why a method has no cells."""
    images: int = 0
    facts: tuple[str, ...] = ()
    """Where the numbers come from, a sentence each."""
    failed: bool = False


def keep_images(images: Images, out: Path) -> None:
    """Write the list of images, unless a leaderboard in the folder has a list of its own."""
    if not (out / "leaderboard.csv").exists():
        images.write(out)


def statistics(
    scores: pd.DataFrame, labels: Sequence[str], metrics: Sequence[Metric], seed: int
) -> tuple[dict[tuple[str, str], Cell], dict[tuple[str, str], Difference]]:
    """Cells and differences of a table of scores with a row per method × image, as in `build_leaderboard`."""
    cells: dict[tuple[str, str], Cell] = {}
    differences: dict[tuple[str, str], Difference] = {}
    for metric in metrics:
        panel = Panel.of(metric, list(labels), scores, seed)
        cells |= {(label, metric.name): cell for label, cell in panel.cells().items()}
        if REFERENCE in labels and len(panel.values):
            others = [label for label in labels if label != REFERENCE]
            differences |= {(d.method, metric.name): d for d in panel.differences(others, REFERENCE)}
    return cells, differences
