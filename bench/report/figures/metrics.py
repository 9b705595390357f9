"""Do the metrics agree? Kendall's τ between the rankings of the methods, and of each with the area of the maps."""

from __future__ import annotations

from matplotlib.figure import Figure

from bench.report.evidence import Evidence
from bench.report.figure import figure
from bench.report.figures.heatmap import heatmap
from bench.report.orient import AREA, areas, goodness
from bench.tables.content import NAN
from bench.tables.reliability import kendall


@figure("metrics")
def metrics(evidence: Evidence) -> Figure | None:
    names, table = agreement(evidence)
    if len(names) < 3:
        return None
    texts = [["" if value != value else f"{value:+.2f}" for value in row] for row in table]
    note = "Kendall's τ over methods (equal maps once), each metric turned so that higher is better; 1: the same order"
    return heatmap("Agreement of the metrics", note, names[1:], names[:-1], table[1:], texts[1:], [1.0] * len(names))


def agreement(evidence: Evidence) -> tuple[list[str], list[list[float]]]:
    """Names of the directed metrics and AREA, and the matrix of τ over the methods; the upper half is left out."""
    lines = [line for line, _ in evidence.board.folded if not line.method.control]
    directed = [metric for metric in evidence.board.metrics if metric.better != "none" and metric.ranks]
    kept = areas(evidence)
    columns = {metric.name: [goodness(line, metric) for line in lines] for metric in directed}
    columns[AREA] = [kept.get(line.method.label, NAN) for line in lines]
    names = [name for name, values in columns.items() if any(value == value for value in values)]
    return names, [
        [kendall(columns[a], columns[b]) if j < i else NAN for j, b in enumerate(names)] for i, a in enumerate(names)
    ]
