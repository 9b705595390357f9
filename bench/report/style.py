"""How the pictures of a run look: at most 7 inches wide, colours that colour-blind readers tell apart, no jet."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure

WIDTH = 7.0
"""Inches: the text width of a page."""
DPI = 300
INK, PALE, RULE, BAND, BEST = "#1f2d3d", "#66727f", "#d5dae0", "#f3f5f7", "#b8480a"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Okabe & Ito 2008, without black and yellow."""
MARKERS = ("o", "s", "^", "D", "v", "P")
SMALL, TEXT, TITLE = 6.0, 7.0, 8.5
"""Points."""
DIVERGING: Colormap = LinearSegmentedColormap.from_list("signed", ["#5e3c99", "#f7f7f7", "#e66101"])
"""Purple for below zero, orange for above: Brewer's PuOr, whose ends no kind of colour blindness confuses."""


def new_figure(width: float, height: float) -> Figure:
    """A white figure of so many inches."""
    figure = Figure(figsize=(min(width, WIDTH), height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def title(figure: Figure, text: str, note: str = "") -> None:
    """A title, and under it what a reader must know, in the upper left corner."""
    height = figure.get_figheight()
    figure.text(0.01, 1 - 0.06 / height, text, va="top", size=TITLE, weight="bold", color=INK)
    figure.text(0.01, 1 - 0.24 / height, note, va="top", size=SMALL, color=PALE)


def plain(axes: Axes) -> None:
    """Axes with two thin lines and small letters."""
    axes.tick_params(colors=PALE, labelcolor=INK, labelsize=SMALL, length=2, width=0.5, pad=2)
    axes.spines[["right", "top"]].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(RULE)
