"""Which rows a command asks for: `all`, names, specs, library doubles, controls, folders of maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.core.errors import UsageError, suggest
from bench.core.explainer import EXPLAINERS, Explainer
from bench.core.protocols import Protocol
from bench.core.spec import Spec, split_list
from bench.data.maps import PrecomputedMaps
from bench.scoring.sources import BoxMask, ExplainerSource, MapsSource, Source

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
    specs: list[Spec[Explainer]] = []
    for item in split_list(text):
        if item in GROUPS:
            specs += [EXPLAINERS.spec(entry.name) for entry in EXPLAINERS if GROUPS[item](entry.value)]
        else:
            specs.append(EXPLAINERS.spec(item))
    if not specs and not maps:
        raise UsageError(f"--methods names no method; write all, or {suggest('', [e.name for e in EXPLAINERS])}")
    if controls:
        specs += [EXPLAINERS.spec(entry.name) for entry in EXPLAINERS if GROUPS["controls"](entry.value)]
    if protocol and protocol.max_passes:
        specs = [quick(spec) for spec in specs]
    unique = {spec.key: spec for spec in specs}
    sources: list[Source] = [ExplainerSource(spec) for spec in unique.values()]
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


def quick(spec: Spec[Explainer]) -> Spec[Explainer]:
    """The spec with the explainer's own cheaper parameters, unless the user chose parameters."""
    parameters = spec.value.quick
    return EXPLAINERS.spec(f"{spec.name}({parameters})") if parameters and not spec.given else spec
