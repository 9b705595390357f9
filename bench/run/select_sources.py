"""Which rows a command asks for: `all`, names, specs, library doubles, controls, folders of maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.core.errors import UsageError, suggest
from bench.core.explainer import EXPLAINERS, Explainer
from bench.core.protocols import Protocol
from bench.core.spec import Spec, split_list
from bench.data.maps import PrecomputedMaps
from bench.scoring.sources import BoxMask, ExplainerSource, MapsSource, Source, Target

GROUPS: dict[str, Callable[[Explainer], bool]] = {
    "all": lambda explainer: not explainer.library_variant and not explainer.control,
    "library": lambda explainer: explainer.library_variant,
    "controls": lambda explainer: explainer.control,
}


def choose_sources(
    text: str, *, protocol: Protocol | None = None, controls: bool = True, maps: Sequence[Path] = ()
) -> tuple[Source, ...]:
    """The sources named by `--methods` and `--maps`, each once, controls last.

    A protocol that caps the passes takes an explainer's own `quick` parameters where the user gave none.
    """
    named: list[ExplainerSource] = []
    for item in split_list(text):
        if item in GROUPS:
            named += group(item)
        else:
            named.append(explainer_source(item))
    if not named and not maps:
        raise UsageError(f"--methods names no method; write all, or {suggest('', [e.name for e in EXPLAINERS])}")
    if controls:
        named += group("controls")
    if protocol and protocol.max_passes:
        named = [replace(source, spec=quick(source.spec)) for source in named]
    sources: list[Source] = list({(source.spec.key, source.layer): source for source in named}.values())
    labels = {source.label for source in sources}
    for folder in maps:
        label = f"maps:{folder.name}"
        if label in labels:
            raise UsageError(f"two --maps folders are named {folder.name!r}; rename one")
        labels.add(label)
        sources.append(MapsSource(PrecomputedMaps(folder), label))
    if controls:
        sources += [BoxMask("box-oracle"), BoxMask("box-context")]
    return tuple(sorted(sources, key=lambda source: source.control))


def group(name: str) -> list[ExplainerSource]:
    return [ExplainerSource(EXPLAINERS.spec(e.name)) for e in EXPLAINERS if GROUPS[name](e.value)]


def explainer_source(text: str) -> ExplainerSource:
    """The row that `grad-cam(gamma=2,layer=layer3)` names: of an explainer that is read at a layer, `layer=` names
    another one than the run's, unless it has a parameter of that name itself."""
    name, bracket, rest = text.partition("(")
    name = name.strip()
    if not bracket or not EXPLAINERS[name].value.layered or "layer" in EXPLAINERS[name].parameters:
        return ExplainerSource(EXPLAINERS.spec(text))
    items = split_list(rest.removesuffix(")"))
    layers = [item.partition("=")[2].strip() for item in items if item.partition("=")[0].strip() == "layer"]
    others = [item for item in items if item.partition("=")[0].strip() != "layer"]
    if len(layers) > 1 or "" in layers:
        raise UsageError(f"method {name!r}: write layer=PATH once in {text!r}")
    spec = EXPLAINERS.spec(f"{name}({','.join(others)})" if rest.endswith(")") else text)
    return ExplainerSource(spec, layer=layers[0] if layers else None)


def in_every_way(
    sources: Iterable[Source], layers: Sequence[str] = (), targets: Sequence[Target] = ()
) -> tuple[Source, ...]:
    """A row for each source, layer and class, source by source. Rows that are read at no layer, or name their own,
    have one."""
    at_layers: list[Source] = []
    for source in sources:
        free = isinstance(source, ExplainerSource) and source.spec.value.layered and source.layer is None
        at_layers += [replace(source, layer=layer) for layer in layers] if free and layers else [source]  # type: ignore[type-var]
    if not targets:
        return tuple(at_layers)
    return tuple(replace(source, target=target) for source in at_layers for target in targets)  # type: ignore[type-var]


def quick(spec: Spec[Explainer]) -> Spec[Explainer]:
    """The spec with the explainer's own cheaper parameters, unless the user chose parameters."""
    parameters = spec.value.quick
    return EXPLAINERS.spec(f"{spec.name}({parameters})") if parameters and not spec.given else spec
