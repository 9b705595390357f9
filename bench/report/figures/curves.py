"""Mean insertion and deletion curves with bands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import stdtrit

from bench.report.evidence import Evidence
from bench.report.figure import figure
from bench.report.style import COLOURS, INK, PALE, RULE, SMALL, TEXT, WIDTH, new_figure, plain, title
from bench.tables.content import Line
from bench.tables.statistics import FEWEST_FOR_INTERVAL

CURVES = {"I": "Insertion: pixels shown, most important first", "D": "Deletion: pixels removed, most important first"}
BETTER = {"I": 1, "D": -1}
NAMED = 5
"""Methods in colour: the first of the table; the others are thin and grey."""

Array = NDArray[np.float64]


@figure("curves")
def curves(evidence: Evidence) -> Figure | None:
    """Probability of the explained class against the share of the pixels, mean over images, and Student's t band."""
    lines = [line for line, _ in evidence.board.folded]
    found = {name: all_vectors(evidence, name, lines) for name in CURVES}
    shown = {name: vectors for name, vectors in found.items() if vectors}
    if not shown:
        return None
    drawing = new_figure(WIDTH, 3.3)
    title(drawing, "Insertion and deletion curves",
          f"mean over images, band: 95 % of the mean; {evidence.board.subject}, {evidence.board.extent}")  # fmt: skip
    for i, (name, vectors) in enumerate(shown.items()):
        axes = drawing.add_axes((0.065 + i * 0.49, 0.14, 0.42, 0.62))
        plain(axes)
        axes.set_title(CURVES[name], size=TEXT, loc="left", color=INK)
        panel(axes, vectors, named(lines, vectors, BETTER[name]))
        axes.set_xlabel("share of the pixels", size=SMALL, color=INK)
        axes.set_ylabel("probability of the class" if i == 0 else "", size=SMALL, color=INK)
    return drawing


def all_vectors(evidence: Evidence, name: str, lines: Sequence[Line]) -> dict[str, Array]:
    """By method: (images, steps + 1) curves of a metric, as far as there are any."""
    column = f"{name}_vector"
    if column not in evidence.rows:
        return {}
    found = {}
    for line in lines:
        kept = [v for v in evidence.rows.loc[evidence.rows.method == line.method.label, column] if np.ndim(v) == 1]
        if kept:
            found[line.method.label] = np.stack(kept).astype(np.float64)
    return found


def named(lines: Sequence[Line], vectors: dict[str, Array], better: int) -> dict[str, str]:
    """The colour of the methods that are named: the first of the table, and the best control, dark. `better` is
    1 where a higher curve is, -1 where a lower one is."""
    methods = [line.method.label for line in lines if not line.method.control and line.method.label in vectors]
    colours = dict(zip(methods[:NAMED], COLOURS, strict=False))
    controls = [x.method.label for x in lines if x.method.control and not x.method.sees_boxes]
    rivals = [label for label in controls if label in vectors]
    best = max(rivals, key=lambda label: better * vectors[label].mean(), default=None)
    return colours | ({best: INK} if best else {})


def panel(axes: Axes, vectors: dict[str, Array], colours: dict[str, str]) -> None:
    for method, values in vectors.items():
        x, mean = np.linspace(0, 1, values.shape[1]), values.mean(0)
        if method not in colours:
            axes.plot(x, mean, color=RULE, lw=0.6, zorder=1)
            continue
        style = "--" if colours[method] == INK else "-"
        axes.plot(x, mean, style, color=colours[method], lw=1.2, label=method, zorder=3)
        if len(values) >= FEWEST_FOR_INTERVAL:
            reach = stdtrit(len(values) - 1, 0.975) * values.std(0, ddof=1) / np.sqrt(len(values))
            axes.fill_between(x, mean - reach, mean + reach, color=colours[method], alpha=0.12, lw=0, zorder=2)
    others = len(vectors) - len(colours)
    if others > 0:
        axes.plot([], [], color=PALE, lw=0.6, label=f"{others} others")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, None)
    axes.legend(fontsize=SMALL, frameon=False, labelcolor=INK, handlelength=1.6)
