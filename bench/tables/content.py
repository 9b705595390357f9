"""What a leaderboard says, whatever it is written in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.core.errors import plural
from bench.core.metric import Metric
from bench.core.protocols import Protocol

NAN = math.nan


@dataclass(frozen=True)
class MethodRow:
    """What the run knows of a method besides its scores."""

    label: str
    control: bool
    status: str
    """ok | skipped | failed | out of memory."""
    reason: str = ""
    equal_to: str | None = None
    """Label of the row whose maps are the same."""
    seconds: float | None = None
    """Median for a batch of one image, with quartiles."""
    seconds_low: float | None = None
    seconds_high: float | None = None
    timed_on: str = ""
    """Another device than this one, where the time was taken there."""
    passes: str = ""
    trained_on: str = ""
    """For learned explainers: the images and the cost of the training."""
    sees_boxes: bool = False
    """Drawn from the annotation, so that winning a metric of it means nothing."""


@dataclass(frozen=True)
class Cell:
    """One method under one metric, in the table's units: the value, its interval and the number of images behind it."""

    value: float = NAN
    low: float = NAN
    high: float = NAN
    n: int = 0
    best: bool = False
    """In the 95 % model confidence set."""
    right: float = NAN
    """The value over rightly classified images, for metrics that are split so."""
    wrong: float = NAN
    agreed: float = NAN
    """The value over the images in which the judge, or all of the panel, puts the explained class first."""
    agreed_n: int = 0


@dataclass(frozen=True)
class Place:
    """A method's place by mean rank, 1 = best, and its 95 % interval over bootstrap resamples of the images."""

    value: float = NAN
    low: float = NAN
    high: float = NAN

    def __str__(self) -> str:
        if not math.isfinite(self.value):
            return "–"
        interval = f" [{self.low:.0f}, {self.high:.0f}]" if math.isfinite(self.low) else ""
        return f"{self.value:.0f}{interval}"


@dataclass(frozen=True)
class ControlWin:
    """A control that lies before every method under a metric."""

    control: str
    value: float
    """Over all its images, in the table's units."""
    shared: int
    """Images that it has in common with a method, at least."""
    images: int


@dataclass(frozen=True)
class Line:
    """One method of the table."""

    method: MethodRow
    cells: Mapping[str, Cell] = field(default_factory=dict)
    """By the metric's name."""
    images: int = 0
    right: int = 0
    """Number of rightly classified images."""
    wrong: int = 0
    degenerate: float = NAN
    """Percent of the maps that are constant or not finite."""
    tied: float = NAN
    """Mean percent of a map's pixels that share their value with another."""
    place: Place = Place()
    not_ranked: str = ""
    """Why a method stands below the line: `I, D missing; n = 20`."""

    @property
    def label(self) -> str:
        equal = self.method.equal_to
        return f"{self.method.label} (= {equal})" if equal else self.method.label

    @property
    def time(self) -> str:
        return three_digits(self.method.seconds) + ("†" if self.method.timed_on else "")


@dataclass(frozen=True)
class Difference:
    """A method minus the reference method over the images of both, in the table's units."""

    method: str
    metric: str
    difference: float
    low: float
    high: float
    p: float
    """Sign-flip permutation test."""
    p_holm: float
    """Adjusted over the methods of this metric."""
    n: int


@dataclass(frozen=True)
class Transfer:
    """How much of a method's gain over the reference, as the explained network has it, other networks confirm."""

    own: Difference
    confirmed: Difference


@dataclass(frozen=True)
class Content:
    """A leaderboard before it is written anywhere."""

    metrics: list[Metric]
    protocol: Protocol
    provenance: Mapping[str, Any]
    ranked: list[Line]
    controls: list[Line]
    unscored: list[Line]
    """Skipped, failed or out of memory, whether control or not."""
    differences: list[Difference]
    notes: list[str]
    unranked: list[Line] = field(default_factory=list)
    """Methods below the line: a ranked metric or images are missing."""
    ranked_by: list[Metric] = field(default_factory=list)
    wins: Mapping[str, ControlWin] = field(default_factory=dict)
    """By metric: the control that beats every method."""
    absent: list[str] = field(default_factory=list)
    """Sentences on what has no value."""

    @property
    def methods(self) -> list[Line]:
        return self.ranked + self.unranked

    @property
    def lines(self) -> list[Line]:
        return self.methods + self.controls

    @property
    def folded(self) -> list[tuple[Line, str]]:
        """Every row with its name, rows of equal maps as one: `grad-cam = hires-cam`."""
        by_label = {line.method.label: line for line in self.lines}

        def first(label: str) -> str:
            seen = {label}
            while (equal := by_label[label].method.equal_to) in by_label and equal not in seen:
                seen.add(label := str(equal))
            return label

        names: dict[str, list[str]] = {}
        for label in by_label:
            names.setdefault(first(label), []).append(label)
        return [(by_label[label], " = ".join([label, *sorted(set(equal) - {label})])) for label, equal in names.items()]

    @property
    def groups(self) -> list[tuple[str, list[Line]]]:
        """The parts of the table from top to bottom, each with its heading; ranked methods need none."""
        below: dict[str, list[Line]] = {}
        for line in self.unranked:
            below.setdefault(f"not ranked: {line.not_ranked}", []).append(line)
        groups = [("", self.ranked), *below.items(), ("controls", self.controls)]
        return [(heading, lines) for heading, lines in groups if lines]

    @property
    def placed(self) -> bool:
        """Whether there is a rank to show."""
        return any(math.isfinite(line.place.value) for line in self.ranked)

    @property
    def timed(self) -> bool:
        return any(line.method.seconds for line in self.lines)

    @property
    def header(self) -> list[str]:
        """Names of the columns that the written tables show."""
        metrics = [metric.name + metric.arrow for metric in self.metrics]
        return ["method", *(["rank"] if self.placed else []), *metrics, *(["T(s)"] if self.timed else [])]

    def framed(self, line: Line, cells: list[str]) -> list[str]:
        """A row under `header`: rank, the metrics' cells and the time, after the label."""
        rank = [str(line.place)] if self.placed else []
        return [*rank, *cells, *([line.time] if self.timed else [])]

    @property
    def confirming(self) -> dict[str, Metric]:
        """By the name of a metric, the column in which other networks judge it: the panel's, or the only judge's."""
        judged = {metric.name.partition(" (")[0]: metric for metric in self.metrics if metric.judge and metric.ranks}
        return {metric.name: judged[metric.name] for metric in self.metrics if metric.name in judged}

    @property
    def transfers(self) -> list[Transfer]:
        """Method by method, its own gain over the reference beside the part of it that other networks confirm."""
        found = {(difference.method, difference.metric): difference for difference in self.differences}
        return [
            Transfer(own, confirmed)
            for name, judged in self.confirming.items()
            for (method, metric), own in found.items()
            if metric == name and (confirmed := found.get((method, judged.name)))
        ]

    @property
    def images(self) -> int:
        """Images of the fullest row; a row with fewer is named under the table."""
        return max((line.images for line in self.lines), default=0)

    @property
    def subject(self) -> str:
        """What was explained: classifier and data, as far as the provenance names them."""
        facts = [str(self.provenance[key]) for key in ("classifier", "data") if key in self.provenance]
        return " on ".join(facts) or "leaderboard"

    @property
    def title(self) -> str:
        parts = [self.subject, f"protocol {self.protocol.name}", self.extent]
        if "top-1" in self.provenance:
            parts.append(f"top-1 {self.provenance['top-1']}")
        if str(self.provenance.get("normalisation", "")).startswith("none stated"):
            parts.append(f"normalisation {self.provenance['normalisation']}")
        return ", ".join(parts)

    @property
    def extent(self) -> str:
        """`700 images`, or `700 images, the first 300 skipped`."""
        skipped = self.provenance.get("images skipped")
        return plural(self.images, "image") + (f", the first {skipped} skipped" if skipped else "")

    @property
    def split(self) -> list[Metric]:
        """The metrics that are also shown over rightly and wrongly classified images."""
        return [metric for metric in self.metrics if metric.by_correctness]

    def cell(self, line: Line, metric: Metric) -> str:
        """`12.2 [11.0, 13.4]`, with `(n=50)` where fewer images stand behind it than behind its row."""
        cell = line.cells.get(metric.name, Cell())
        text = number(cell.value, metric)
        if math.isfinite(cell.low) and math.isfinite(cell.high):
            text += f" [{number(cell.low, metric)}, {number(cell.high, metric)}]"
        return text + (f" (n={cell.n})" if 0 < cell.n < line.images else "")


def number(value: float, metric: Metric) -> str:
    """One decimal for percentages, three for plain units; `–` for what is not there."""
    decimals = 1 if metric.scale >= 100 else 3
    return f"{round(value, decimals) + 0.0:.{decimals}f}" if math.isfinite(value) else "–"  # + 0.0: no -0.0


def signed(value: float, metric: Metric) -> str:
    text = number(value, metric)
    return "+" + text if value > 0 and float(text) else text


def p_value(p: float) -> str:
    return "–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def three_digits(seconds: float | None) -> str:
    """Three significant digits, at most milliseconds: 0.031, 1.23, 123."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds < 0.001:
        return "< 0.001"
    decimals = 2 - math.floor(math.log10(seconds))
    return f"{seconds:.{min(3, max(0, decimals))}f}"
