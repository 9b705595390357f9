"""Who is ranked, at which place and how surely: only rows that can be compared over every metric and the same images.

A method that lacks a metric, or was scored on fewer images, would be ranked by what it happens to have.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.core.metric import Metric
from bench.tables.content import NAN, Place
from bench.tables.panel import Mask, Panel
from bench.tables.statistics import FEWEST_FOR_INTERVAL, position_intervals, positions


@dataclass(frozen=True)
class MeasuredRows:
    """A ranked metric and the images that a row must have under it."""

    panel: Panel
    images: Mask


@dataclass(frozen=True)
class Ranking:
    """What decides the order of the methods."""

    measured: list[MeasuredRows]
    """The metrics with a direction and a value."""
    reasons: dict[str, str] = field(default_factory=dict)
    """By label: why a row is not ranked."""

    @property
    def metrics(self) -> list[Metric]:
        return [found.panel.metric for found in self.measured]

    def places(self, contenders: Sequence[str]) -> dict[str, Place]:
        """The place of every one of `contenders`, all of them complete; without one where fewer than two are left."""
        if len(contenders) < 2 or not self.measured:
            return dict.fromkeys(contenders, Place())
        found = [measured.panel.losses(contenders, measured.images) for measured in self.measured]
        places = positions(np.stack([points[None] for points, _ in found]))[0]
        images = max(int(measured.images.sum()) for measured in self.measured)
        ends = np.full((len(contenders), 2), NAN)
        if images >= FEWEST_FOR_INTERVAL:
            ends = position_intervals(positions(np.stack([replicated for _, replicated in found])))
        return {
            label: Place(float(place), float(low), float(high))
            for label, place, (low, high) in zip(contenders, places, ends, strict=True)
        }


def ranking(panels: Sequence[Panel], methods: Collection[str], held: Mapping[str, Mask]) -> Ranking:
    """Which of `methods` have every directed metric on all the images that the fullest rows have.

    held: by label, (n,) whether the row has the image. An image on which no fullest row has a metric's value (no box,
    no finite answer) is not asked of the others; a metric without any value is left out.
    """
    sizes = {label: int(held[label].sum()) for label in methods}
    most = max(sizes.values(), default=0)
    fullest = [label for label in methods if sizes[label] == most]
    measured = []
    for panel in panels:
        if panel.directed and panel.metric.ranks and panel.present.size:
            images = panel.among(fullest)
            images = images if images.any() else panel.among(methods)
            if images.any():
                measured.append(MeasuredRows(panel, images))
    reasons = {label: why_not(label, measured, held[label], most) for label in methods}
    return Ranking(measured, {label: reason for label, reason in reasons.items() if reason})


def why_not(label: str, measured: Sequence[MeasuredRows], held: Mask, most: int) -> str:
    """`I, D missing; n = 20`, or "" for a complete row."""
    missing, partly, complete = list[str](), dict[str, list[str]](), True
    for found in measured:
        name, present = found.panel.metric.name, found.panel.among([label])
        count, asked = int((present & found.images).sum()), int(found.images.sum())
        complete = complete and count == asked
        if not present.any():
            missing.append(name)
        elif count < int((held & found.images).sum()):
            partly.setdefault(f"on {count} of {asked} images", []).append(name)
    if complete:
        return ""
    parts = [f"{', '.join(missing)} missing"] if missing else []
    parts += [f"{', '.join(names)} {extent}" for extent, names in partly.items()]
    parts += [f"n = {int(held.sum())}"] if held.sum() < most else []
    return "; ".join(parts) or "other images"
