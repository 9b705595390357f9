"""The lines under a table: what it means, what it may not be used for, where it comes from."""

from __future__ import annotations

import dataclasses
import math

from bench.core.errors import plural
from bench.core.metric import Metric, PanelMetric
from bench.tables.content import Cell, Content, Difference, Transfer, number, signed
from bench.tables.panel import FEWEST
from bench.tables.statistics import FEWEST_FOR_INTERVAL, FLIPS, RESAMPLES

HALL = "Student's t corrected for skewness (Hall 1992)"


def notes(content: Content) -> list[str]:
    """Sentences for `content`."""
    directed = [metric for metric in content.metrics if metric.better != "none"]
    return [
        *([content.protocol.note] if content.protocol.note else []),
        *(control_wins(content, metric) for metric in directed if metric.ranks and metric.name in content.wins),
        *transfers(content),
        *content.absent,
        *bold(content, directed),
        *order(content),
        *equal(content),
        *fewer(content),
        *learned(content),
        *timed_elsewhere(content),
        degenerate(content),
        statistics(content),
        protocol(content),
    ]


def control_wins(content: Content, metric: Metric) -> str:
    win = content.wins[metric.name]
    images = f" over the images of both ({win.shared} or more)" if win.shared < win.images else ""
    return (
        f"a control wins {metric.name}: {win.control} ({number(win.value, metric)}) beats every method{images}: "
        f"{metric.name} alone does not rank explainers"
    )


def transfers(content: Content) -> list[str]:
    """A sentence per metric on how much of each significant gain other networks confirm."""
    lines = []
    for name, judged in content.confirming.items():
        metric = next(metric for metric in content.metrics if metric.name == name)
        found = [one for one in content.transfers if one.own.metric == name and clear_gain(one.own, metric)]
        best = sorted(found, key=lambda one: -abs(one.own.difference))
        gains = [f"{one.own.method} {signed(one.own.difference, metric)} → {contrast(one, metric)}" for one in best]
        if gains:
            lines.append(f"gain over grad-cam in {name} → confirmed by {judge_of(judged)}: {'; '.join(gains)}")
    return lines


def judge_of(judged: Metric) -> str:
    """`the panel`, or the name of the only judge."""
    name = judged.name.partition(" (")[2].removesuffix(")")
    return f"the {name}" if isinstance(judged, PanelMetric) else name


def clear_gain(own: Difference, metric: Metric) -> bool:
    """Whether the interval of a difference lies on the better side of zero."""
    return own.low > 0 if metric.better == "higher" else own.high < 0


def contrast(one: Transfer, metric: Metric) -> str:
    found = one.confirmed
    ends = f" [{number(found.low, metric)}, {number(found.high, metric)}]" if math.isfinite(found.low) else ""
    return signed(found.difference, metric) + ends


def bold(content: Content, directed: list[Metric]) -> list[str]:
    """Says what bold means, or why there is none."""
    if content.images < FEWEST:
        return [
            f"nothing is bold: {plural(content.images, 'image')} cannot tell methods apart; "
            f"the confidence set needs at least {FEWEST}"
        ]
    cells = {metric.name: [line.cells.get(metric.name, Cell()) for line in content.methods] for metric in directed}
    bare = [name for name, found in cells.items() if not any(cell.best for cell in found)]
    few = sorted(
        {
            line.method.label
            for line in content.methods
            if any(0 < line.cells.get(metric.name, Cell()).n < FEWEST for metric in directed)
        }
    )
    lines = [
        "bold: the 95 % model confidence set (max-T over pairs of methods, Hansen, Lunde & Nason 2011): the methods "
        "that may be the best, given these images"
    ]
    return [
        *(lines if len(bare) < len(directed) else []),
        *([f"nothing is bold, no two methods to compare on {FEWEST} images: {', '.join(bare)}"] if bare else []),
        *([f"never bold, under {FEWEST} images: {', '.join(few)}"] if few else []),
    ]


def order(content: Content) -> list[str]:
    names = ", ".join(metric.name for metric in content.ranked_by)
    if content.methods and content.ranked_by and not content.ranked:
        return [f"nothing is ranked: no method has {names} on all images of the fullest rows"]
    if not content.placed:
        return []
    resampled = any(math.isfinite(line.place.low) for line in content.ranked)
    interval = f"; rank [95 % interval over {RESAMPLES} resamples of the images, the same for all methods and metrics]"
    return [f"order of the rows: mean rank over {names}{interval if resampled else ''}"]


def equal(content: Content) -> list[str]:
    rows = [line.label for line in content.methods if line.method.equal_to]
    return [f"equal maps, counted once in ranks, tests and confidence sets: {', '.join(rows)}"] if rows else []


def timed_elsewhere(content: Content) -> list[str]:
    devices = dict.fromkeys(line.method.timed_on for line in content.lines if line.method.timed_on)
    return [f"† time measured on {', '.join(devices)}"] if devices else []


def learned(content: Content) -> list[str]:
    rows = [line.method for line in content.methods if line.method.trained_on]
    return [f"learned: {row.label}, trained on {row.trained_on}" for row in rows]


def fewer(content: Content) -> list[str]:
    rows = [f"{line.method.label} ({line.images})" for line in content.lines if line.images < content.images]
    return [f"scored on fewer than {plural(content.images, 'image')}: {', '.join(rows)}"] if rows else []


def degenerate(content: Content) -> str:
    rows = [f"{line.method.label} {line.degenerate:.1f} %" for line in content.lines if line.degenerate > 0]
    return f"degenerate maps (constant or not finite): {', '.join(rows) or 'none'}"


def statistics(content: Content) -> str:
    ranking = [metric for metric in content.metrics if metric.ranks]
    text = f"intervals: 95 %, {'; '.join(kinds(ranking))}; none under {FEWEST_FOR_INTERVAL} images"
    if content.differences:
        text += (
            f"; differences: paired, {', '.join(contrasts(content.metrics))}; sign-flip permutation test over images "
            f"(exact up to {int(math.log2(FLIPS))} images, else {FLIPS} flips), Holm over the methods of a metric"
        )
    return text + ("; T: median over single images, quartiles in the CSV" if content.timed else "")


def contrasts(metrics: list[Metric]) -> list[str]:
    """Which interval a difference has."""
    named = {
        "Student's t": any(not metric.rate and not metric.pool for metric in metrics),
        "Bonett & Price for rates": any(metric.rate for metric in metrics),
        "BCa for pooled metrics": any(metric.pool for metric in metrics),
    }
    return [name for name, there in named.items() if there]


def kinds(metrics: list[Metric]) -> list[str]:
    """Which interval stands in which column."""
    means = [metric for metric in metrics if not metric.rate and not metric.pool]
    named = {
        f"{HALL} on the arcsine scale": [metric.name for metric in means if all(map(math.isfinite, metric.bounds))],
        HALL: [metric.name for metric in means if not all(map(math.isfinite, metric.bounds))],
        "Wilson": [metric.name for metric in metrics if metric.rate],
        f"BCa bootstrap ({RESAMPLES} resamples)": [metric.name for metric in metrics if metric.pool],
    }
    return [f"{kind} ({', '.join(names)})" for kind, names in named.items() if names]


def protocol(content: Content) -> str:
    fields = dataclasses.asdict(content.protocol)
    name, shown = fields.pop("name"), {key: value for key, value in fields.items() if key != "note" and value != ""}
    return f"protocol {name}: " + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in shown.items())
