"""Parts of pages made from the registries: cards of methods and metrics, tables of protocols, data sets and flags.

A page holds `<!-- made: NAME -->` where one of `PARTS` is put when the site is built.
"""

from __future__ import annotations

import csv
import inspect
import math
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from bench.cli.parser import build_parser
from bench.core.classifier import Classifier
from bench.core.dataset import DATASETS
from bench.core.explainer import EXPLAINERS, Explainer
from bench.core.metric import METRICS, Metric, ScoreMetric
from bench.core.protocols import PROTOCOLS
from bench.core.spec import Entry
from bench.plugins import register
from bench.tables.statistics import RESAMPLES
from cambench import load_classifier

ROOT = Path(__file__).resolve().parents[2]
TIMES = ROOT / "results" / "published" / "efficientnet_lite0-imagenet-clean" / "timing.csv"
FAILURE = "Known failure: "

register()


@cache
def embedded() -> Classifier:
    """The network whose passes are counted on the cards."""
    return load_classifier("efficientnet_lite0")


# Text


def escaped(text: str) -> str:
    """Plain text of a docstring as Markdown; what stands in backticks stays."""
    parts = re.split(r"(`+[^`]+`+)", text)
    return "".join(part if i % 2 else re.sub(r"([*_<\[\]|])", r"\\\1", part) for i, part in enumerate(parts))


def linked(text: str) -> str:
    """Markdown in which arXiv numbers and DOIs are links."""
    text = re.sub(r"arXiv (\d{4}\.\d{4,5})", r"[arXiv \1](https://arxiv.org/abs/\1)", text)
    return re.sub(r"doi (10\.\d+/[^\s,;)]*[^\s,;.)])", r"[doi \1](https://doi.org/\1)", text)


def paragraphs(function: object) -> tuple[list[str], str]:
    """A docstring's paragraphs, and the known failure, "" where it tells none."""
    found = [" ".join(part.split()) for part in (inspect.getdoc(function) or "").split("\n\n") if part.strip()]
    failures = [part.removeprefix(FAILURE) for part in found if part.startswith(FAILURE)]
    return [part for part in found if not part.startswith(FAILURE)], " ".join(failures)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), ["---"] * len(list(head)), *map(list, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def card(name: str, title: str, function: object, facts: dict[str, str]) -> str:
    """A heading, what the docstring says, the known failure in a box, the facts in a table."""
    text, failure = paragraphs(function)
    blocks = [
        f"### {name} {{ #{name.lower()} }}",
        *([f"**{title}**"] if title else []),
        *(linked(escaped(part)) for part in text),
        *([f'!!! warning "Known failure"\n    {linked(escaped(failure))}'] if failure else []),
        table(("", ""), facts.items()),
    ]
    return "\n\n".join(blocks)


# Methods


@cache
def seconds() -> dict[str, str]:
    """Seconds per image on the embedded network by method, as published; single images."""
    with TIMES.open() as file:
        return {row["method"]: row["seconds"] for row in csv.DictReader(file) if row["batch"] == "1"}


@cache
def cost(explainer: Explainer) -> str:
    """Passes per image on the embedded network."""
    reason = explainer.skip(embedded())
    if reason:
        return f"not on the embedded network: it {reason}"
    passes = explainer.cost(embedded())
    return str(passes) if passes.total else "no pass"


def method_facts(entry: Entry[Explainer]) -> Iterator[tuple[str, str]]:
    explainer = entry.value
    yield "paper", linked(explainer.paper)
    yield "code", explainer.origin
    yield "passes per image", cost(explainer) + (", by network" if callable(explainer.passes) else "")
    if entry.name in seconds():
        yield "measured", f"{float(seconds()[entry.name]):.2g} s per image, two CPU cores, shared"
    if entry.parameters:
        yield "parameters", "<br>".join(f"`{parameter}`" for parameter in entry.parameters.values())
    order = explainer.map_order()
    yield "order in its paper", f"`{order}`"
    if explainer.quick:
        yield "under `quick`", f"`{explainer.quick}`"


def method_card(entry: Entry[Explainer]) -> str:
    return card(entry.name, "", entry.value.function, dict(method_facts(entry)))


def methods() -> str:
    kinds = {
        "Methods": [e for e in EXPLAINERS if not e.value.control and not e.value.library_variant],
        "Controls": [e for e in EXPLAINERS if e.value.control],
        "Library doubles": [e for e in EXPLAINERS if e.value.library_variant],
    }
    rows = [(f"[{e.name}](#{e.name.lower()})", kind.lower().removesuffix("s"), cost(e.value), linked(e.value.paper))
            for kind, entries in kinds.items() for e in entries]  # fmt: skip
    parts = [table(("name", "kind", "passes per image", "paper"), rows)]
    for kind, entries in kinds.items():
        parts += [f"## {kind}", *map(method_card, entries)]
    return "\n\n".join(parts)


# Metrics

BETTER = {"higher": "higher is better", "lower": "lower is better", "none": "a description: no direction"}


def interval(metric: Metric) -> str:
    """The kind of its 95 % interval."""
    if metric.pool:
        return f"BCa bootstrap over images, {RESAMPLES} resamples"
    return "Wilson" if metric.rate else "Student's t, corrected for skewness"


def metric_facts(metric: Metric) -> Iterator[tuple[str, str]]:
    low, high = (0, 1) if metric.rate else metric.bounds
    yield "paper", linked(metric.paper)
    yield "direction", BETTER[metric.better]
    bounded = f"{low:g} to {high:g}" if all(map(math.isfinite, (low, high))) else "not bounded"
    yield "values", bounded + (", shown in %" if metric.scale == 100 else "")
    yield "kind", f"`{metric.kind}`"
    if isinstance(metric, ScoreMetric):
        count = metric.n_derived(PROTOCOLS["clean"].value)
        yield "cost per map", f"{count} forward pass{'es' if count != 1 else ''} under `clean`"
    if metric.needs:
        yield "needs", f"object {metric.needs}"
    yield "interval", interval(metric)


def metric_card(entry: Entry[Metric]) -> str:
    metric = entry.value
    return card(entry.name, f"{metric.title} {metric.arrow}", metric.function, dict(metric_facts(metric)))


def metrics() -> str:
    rows = [(f"[{e.name}](#{e.name.lower()}) {e.value.arrow}", e.value.title, e.value.needs or "–",
             linked(e.value.paper)) for e in METRICS]  # fmt: skip
    return "\n\n".join([table(("name", "title", "needs", "paper"), rows), "## Cards", *map(metric_card, METRICS)])


# Protocols, data sets, flags


def protocols() -> str:
    """Every protocol, field by field."""
    columns = [entry.name for entry in PROTOCOLS]
    fields = ("pixels", "own_size", "target", "maps", "masked_out", "insertion_start", "deletion_end", "steps", "boxes",
              "axes", "ties", "max_passes", "paper")  # fmt: skip
    rows = [(f"`{name}`", *(linked(str(shown(getattr(PROTOCOLS[column].value, name)))) for column in columns))
            for name in fields]  # fmt: skip
    return table(("field", *(f"`{column}`" for column in columns)), rows)


def shown(value: object) -> object:
    return "–" if value in (None, "") else value


def data_sets() -> str:
    rows = [(f"`{e.name}`", "<br>".join(f"`{p}`" for p in e.parameters.values()) or "–") for e in DATASETS]
    return table(("data set", "parameters"), rows)


def flags() -> str:
    """All flags, group by group."""
    parts = []
    for group in build_parser()._action_groups:
        actions = [action for action in group._group_actions if action.option_strings]
        rows = [(" ".join(f"`{text}`" for text in action.option_strings),
                 escaped(str(action.help or "") % {"default": action.default, "prog": "run_benchmark.py"}))
                for action in actions]  # fmt: skip
        if rows:
            parts += [f"## {(group.title or 'options').capitalize()}", table(("flag", "what it does"), rows)]
    return "\n\n".join(parts)


PARTS = {"methods": methods, "metrics": metrics, "protocols": protocols, "data sets": data_sets, "flags": flags}
"""What a page may ask for."""


def fill(markdown: str) -> str:
    """The page with its parts. Raises KeyError for a part that is unknown."""
    return re.sub(r"<!-- made: ([a-z ]+) -->", lambda found: PARTS[found[1]](), markdown)
