"""What a run says, in sentences: who may be best, which control wins, what cannot be told."""

from __future__ import annotations

from bench.core.errors import plural
from bench.tables.content import Cell, Content
from bench.tables.panel import FEWEST

LEVEL = 0.05


def headline(content: Content) -> str:
    """Network, accuracy, data, number of images and protocol in one sentence."""
    facts = content.provenance
    accuracy = f", right on {facts['top-1']} images," if "top-1" in facts else ""
    network, data = facts.get("classifier", "the network"), facts.get("data", "the images")
    methods = plural(len(content.methods), "explainer")
    return (
        f"{methods} of {network}{accuracy} on {content.extent} of {data}, "
        f"under protocol {content.protocol.name}: {explained(content)}"
    )


def explained(content: Content) -> str:
    protocol = content.protocol
    target = {"predicted": "predicted", "true": "true", "least": "least likely"}.get(protocol.target, protocol.target)
    return f"the {target} class is explained, what a map leaves out becomes {protocol.masked_out.replace('-', ' ')}."


def warnings(content: Content) -> list[str]:
    """What forbids to cite the table."""
    found = [content.protocol.note] if content.protocol.note else []
    if content.images < FEWEST:
        found.append(f"{plural(content.images, 'image')}: fewer than {FEWEST} cannot tell methods apart")
    return found + [note for note in content.notes if "chance" in note]


def findings(content: Content) -> list[str]:
    """Three sentences."""
    return [best(content), controls(content), untold(content)]


def best(content: Content) -> str:
    named = {
        metric.name: [line.method.label for line in content.methods if line.cells.get(metric.name, Cell()).best]
        for metric in content.metrics
        if metric.better != "none" and metric.ranks
    }
    parts = [f"{name}: {', '.join(methods)}" for name, methods in named.items() if methods]
    if parts:
        return f"May be the best, given these images: {'; '.join(parts)}."
    return "No metric tells who may be the best: the images are too few, or there are no two methods to compare."


def controls(content: Content) -> str:
    if not content.controls:
        return "No control stands in the table, so that nothing shows what a map without knowledge would get."
    if not content.wins:
        return "No control, a map that knows nothing of the network, beats every method in any metric."
    ranking = {metric.name for metric in content.metrics if metric.ranks}
    parts = [f"{win.control} in {name}" for name, win in content.wins.items() if name in ranking]
    return f"A control beats every method: {', '.join(parts)}. Such a metric alone does not rank explainers."


def untold(content: Content) -> str:
    ranking = {metric.name for metric in content.metrics if metric.ranks}
    found = [difference for difference in content.differences if difference.metric in ranking]
    if not found:
        return "No difference between methods was tested."
    known = [difference for difference in found if difference.p_holm == difference.p_holm]
    open_ = [difference for difference in known if difference.p_holm > LEVEL]
    counts: dict[str, int] = {}
    for difference in open_:
        counts[difference.metric] = counts.get(difference.metric, 0) + 1
    where = f" ({', '.join(f'{name} {count}' for name, count in counts.items())})" if counts else ""
    verb = "is" if len(open_) == 1 else "are"
    return (
        f"Of {plural(len(known), 'difference')} from grad-cam, {len(open_)} {verb} not significantly different "
        f"from zero{where}."
    )
