"""The page's charts as Vega-Lite specifications, which a well-kept library draws, with tooltips and in both themes."""

from __future__ import annotations

import math
from typing import Any

from bench.report.evidence import Evidence
from bench.report.figures.metrics import agreement
from bench.report.style import COLOURS, DIVERGING, PALE
from bench.tables.content import Cell

Spec = dict[str, Any]


def charts(evidence: Evidence) -> dict[str, Spec]:
    """By the id of the element that shows it."""
    return {"pareto": pareto(evidence), "agreement": agreeing(evidence)}


def pareto(evidence: Evidence) -> Spec:
    """Metric against time; a menu chooses the metric."""
    board = evidence.board
    directed = [metric for metric in board.metrics if metric.better != "none" and metric.ranks]
    rows = [
        {"method": name, "kind": "control" if line.method.control else "method", "metric": metric.name,
         "title": f"{metric.name} {metric.arrow} {metric.title}", "seconds": line.method.seconds, "value": value}
        for line, name in board.folded if line.method.seconds for metric in directed
        if math.isfinite(value := line.cells.get(metric.name, Cell()).value)
    ]  # fmt: skip
    names = [metric.name for metric in directed if any(row["metric"] == metric.name for row in rows)]
    if not names:
        return {}
    x = {"field": "seconds", "type": "quantitative", "scale": {"type": "log"}, "title": "seconds per image"}
    y = {"field": "value", "type": "quantitative", "scale": {"zero": False}, "title": "value of the metric"}
    return {
        "data": {"values": rows}, "width": "container", "height": 320,
        "description": "Each method's value of the chosen metric against its seconds per image",
        "params": [{"name": "metric", "value": names[0],
                    "bind": {"input": "select", "options": names, "name": "Metric "}}],
        "transform": [{"filter": "datum.metric == metric"}],
        "layer": [
            {"mark": {"type": "point", "filled": True, "size": 70}, "encoding": {
                "x": x, "y": y, "tooltip": [{"field": f} for f in ("method", "title", "value", "seconds")],
                "color": {"field": "kind", "scale": {"domain": ["method", "control"], "range": [COLOURS[0], PALE]},
                          "title": None}}},
            {"mark": {"type": "text", "align": "left", "dx": 7, "fontSize": 10}, "encoding": {
                "x": x, "y": y, "text": {"field": "method"}}},
        ],
    }  # fmt: skip


def agreeing(evidence: Evidence) -> Spec:
    """Kendall's τ between metrics over the methods."""
    names, table = agreement(evidence)
    cells = [{"a": names[i], "b": names[j], "tau": round(value, 2)}
             for i, row in enumerate(table) for j, value in enumerate(row) if math.isfinite(value)]  # fmt: skip
    if not cells:
        return {}
    ends = [DIVERGING(x)[:3] for x in (0.0, 0.5, 1.0)]
    scale = {"domain": [-1, 0, 1], "range": [f"rgb({','.join(str(round(255 * c)) for c in end)})" for end in ends]}
    where = {"x": {"field": "b", "sort": names, "title": None, "axis": {"orient": "top", "labelAngle": 0}},
             "y": {"field": "a", "sort": names, "title": None}}  # fmt: skip
    return {
        "data": {"values": cells}, "width": "container", "height": 34 * (len(names) - 1),
        "description": "Kendall's rank correlation of every two metrics over the methods",
        "encoding": where,
        "layer": [
            {"mark": "rect", "encoding": {
                "color": {"field": "tau", "type": "quantitative", "scale": scale, "title": "τ"}}},
            {"mark": {"type": "text", "color": "#1f2d3d"}, "encoding": {"text": {"field": "tau", "format": "+.2f"}}},
        ],
    }  # fmt: skip
