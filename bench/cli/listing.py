"""What `--list` prints: everything registered, with parameters, source and cost."""

from __future__ import annotations

from collections.abc import Iterator

from bench.core.architecture import CLASSIFIERS, FAMILIES
from bench.core.dataset import DATASETS
from bench.core.explainer import EXPLAINERS
from bench.core.metric import METRICS
from bench.core.protocols import PROTOCOLS
from bench.tables.paper_tables import load_table, table_names


def listing() -> str:
    return "\n".join(line for part in (methods, metrics, protocols, data_sets, tables, classifiers) for line in part())


def methods() -> Iterator[str]:
    yield "methods (name, passes per image, F forward and B backward, source; paper; parameters)"
    yield "  those [at a layer] take layer=PATH too, as in grad-cam(layer=layer3)"
    for entry in EXPLAINERS:
        explainer = entry.value
        cost = "by network" if callable(explainer.passes) else explainer.passes
        kind = " [control]" if explainer.control else " [library double]" if explainer.library_variant else ""
        place = " [at a layer]" if explainer.layered else ""
        yield f"  {entry.name:<30} {cost!s:<10} {explainer.origin}{kind}{place}"
        yield f"      {explainer.paper}"
        for parameter in entry.parameters.values():
            yield f"      {parameter}"


def metrics() -> Iterator[str]:
    yield "metrics (name, kind, title; paper)"
    for entry in METRICS:
        yield f"  {entry.name + entry.value.arrow:<13} {entry.value.kind:<11} {entry.value.title}; {entry.value.paper}"
    yield f"  {'T':<13} {'timing':<11} Seconds per image, median over at most 20 images, in a pass of its own"


def protocols() -> Iterator[str]:
    yield "protocols (change a field with NAME+field=value)"
    for entry in PROTOCOLS:
        yield f"  {entry.name:<17} {entry.value.key}"


def data_sets() -> Iterator[str]:
    yield "data sets (name, parameters)"
    for entry in DATASETS:
        yield f"  {entry.name}"
        yield from (f"      {parameter}" for parameter in entry.parameters.values())


def tables() -> Iterator[str]:
    yield "paper tables (--table NAME)"
    for name in table_names():
        table = load_table(name)
        yield f"  {name:<40} {table.title}; {table.paper}"


def classifiers() -> Iterator[str]:
    yield f"classifiers (and {', '.join(entry.name for entry in FAMILIES)})"
    yield "  networks that are trained here:"
    yield from (f"      {entry.name}: {entry.value.training}" for entry in FAMILIES if entry.value.training)
    names = [entry.name for entry in CLASSIFIERS]
    yield from ("  " + ", ".join(names[i : i + 8]) for i in range(0, len(names), 8))
