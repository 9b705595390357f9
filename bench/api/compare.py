"""Two runs beside each other."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bench.api.results import Results, load_results, scale
from bench.core.errors import UsageError
from bench.core.metric import METRICS
from bench.tables.content import Difference
from bench.tables.panel import Panel

SAME = ("protocol",)
IGNORED = ("command", "cambench", "config", "images", "images sha256")


@dataclass(frozen=True, eq=False)
class Comparison:
    """What differs between two runs."""

    settings: pd.DataFrame
    """Facts that differ: index the fact, columns a and b."""
    differences: pd.DataFrame
    """Per method and metric, over common images: a, b, difference b - a with low, high, p and n."""

    def __repr__(self) -> str:
        return f"{self.settings.to_string()}\n\n{self.differences.to_string(index=False)}"


def compare(a: Results | str | Path, b: Results | str | Path, *, across_protocols: bool = False) -> Comparison:
    """The differences b - a per method and metric over the images that both have, byte for byte the same ones, with
    95 % intervals and sign-flip tests, Holm-adjusted over the methods of a metric. Runs are results or their folders.

    Raises UsageError for runs of different protocols unless `across_protocols`, and where nothing is in common.
    """
    a, b = (load_results(run) if isinstance(run, str | Path) else run for run in (a, b))
    first, second = a.provenance, b.provenance
    if first.get("protocol") != second.get("protocol") and not across_protocols:
        raise UsageError(
            f"the runs are of different protocols, {first.get('protocol')} and {second.get('protocol')}; "
            "say across_protocols=True if that is what you compare"
        )
    common = set(digests(a)) & set(digests(b))
    rows = [row for metric in a.names if metric in b.names for row in metric_rows(a, b, metric, common)]
    if not rows:
        raise UsageError("the runs have no method, metric and image in common")
    return Comparison(differing(first, second), pd.DataFrame(rows))


def largest(a: Results, b: Results, most: int = 20) -> pd.DataFrame:
    """Where two runs differ most: per metric the `most` pairs of method and image with the largest |b - a|, in the
    table's units: metric, method, image, a, b, difference."""
    common = {image for image, _ in set(digests(a)) & set(digests(b))}
    left, right = (run.scores() for run in (a, b))
    parts = []
    for name in (name for name in left if name in right):
        both = pd.concat({"a": left[name], "b": right[name]}, axis=1, join="inner").dropna().reset_index()
        both = both[both.image.astype(str).isin(common)].assign(metric=name, difference=both.b - both.a)
        order = both.difference.abs().sort_values(ascending=False, kind="stable").index
        parts.append(both.loc[order[:most], ["metric", "method", "image", "a", "b", "difference"]])
    columns = ["metric", "method", "image", "a", "b", "difference"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def digests(results: Results) -> list[tuple[str, str]]:
    images = results.images()
    return list(zip(images.id.astype(str), images.digest.astype(str), strict=True))


def differing(first: dict[str, object], second: dict[str, object]) -> pd.DataFrame:
    facts = [name for name in dict.fromkeys([*first, *second]) if name not in IGNORED]
    rows = {name: (first.get(name, ""), second.get(name, "")) for name in facts if first.get(name) != second.get(name)}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["a", "b"]).rename_axis("setting")


def metric_rows(a: Results, b: Results, name: str, common: set[tuple[str, str]]) -> list[dict[str, object]]:
    """A row for each method that both runs have under a metric."""
    metric = dataclasses.replace(METRICS[name.partition(" (")[0]].value, name=name)
    images = {image for image, _ in common}
    left, right = (table(results, name, images) for results in (a, b))
    methods = [method for method in dict.fromkeys(left.method) if method in set(right.method)]
    found: list[tuple[str, Difference, Panel]] = []
    for method in methods:
        pair = pd.concat([part[part.method == method].assign(method=side)
                          for side, part in (("a", left), ("b", right))])  # fmt: skip
        panel = Panel.of(metric, ["a", "b"], pair, seed=0)
        found += [(method, difference, panel) for difference in panel.differences(["b"], "a")]
    p = holm_adjusted([difference.p for _, difference, _ in found])
    return [
        {"method": method, "metric": name, "a": shared_mean(panel, 0, name), "b": shared_mean(panel, 1, name),
         "difference": d.difference, "low": d.low, "high": d.high, "p": adjusted, "n": d.n}
        for (method, d, panel), adjusted in zip(found, p, strict=True)
    ]  # fmt: skip


def holm_adjusted(values: list[float]) -> list[float]:
    from bench.tables.statistics import holm

    return [float(value) for value in holm(values)]


def shared_mean(panel: Panel, column: int, name: str) -> float:
    """A side's value over the images of both, in the table's units; NaN for pooled metrics, which have no mean."""
    both = panel.present.all(1)
    if panel.pool is not None:
        return scale(name) * panel.pool(np.ascontiguousarray(panel.values[both, column]))
    return scale(name) * float(panel.values[both, column].mean())


def table(results: Results, name: str, images: set[str]) -> pd.DataFrame:
    """A row per method and image, with the metric's value and vector by its name."""
    column = results.column(name)
    rows = results.stored[results.stored.image.isin(images)]
    vector = f"{column}_vector"
    return pd.DataFrame({
        "method": rows.method, "image": rows.image, "right": rows.right, name: rows[column].astype(float),
        f"{name}_vector": rows.get(vector),
    })  # fmt: skip
