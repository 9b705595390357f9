"""From a configuration to a request: everything that it names, found and checked."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch

from bench.classifiers.facts import read_classes
from bench.classifiers.load import load_classifier
from bench.core.architecture import CLASSIFIERS
from bench.core.classifier import Classifier
from bench.core.dataset import Dataset, load_dataset
from bench.core.device import check_device
from bench.core.errors import UsageError, plural, suggest
from bench.core.metric import METRICS, Metric
from bench.core.net.precision import Precision
from bench.core.protocols import Protocol, protocol
from bench.core.ranges import within
from bench.core.spec import split_list
from bench.data.labels import match_labels
from bench.run.batch_size import find_batch
from bench.run.config import DEFAULT_MODEL, RunConfig
from bench.run.folders import default_out
from bench.run.request import Request
from bench.run.select_judges import load_judges, named_judges
from bench.run.select_sources import choose_sources, in_every_way
from bench.run.shown import View
from bench.run.targets import SEVERAL_CLASSES, targets_of, unknown_class
from bench.scoring.judge import judged
from bench.scoring.sources import Source, Target

log = logging.getLogger(__name__)

CROP_ROUNDING = 0.005
"""Recipes round the resized side to pixels: 299 of 342 is meant as 224 of 256."""
DEFAULT_METRICS = "AD,AG,AI,I,D,T"
DEFAULT_JUDGED = "AD,AG,AI"
WITH_BOXES = "AD,AG,AI,I,D,EP,F1,LE,T"


@dataclasses.dataclass(frozen=True)
class Given:
    """What a program has in memory already, and a configuration cannot name."""

    classifier: Classifier | None = None
    dataset: Dataset | None = None
    sources: tuple[Source, ...] = ()
    """Rows besides those of `methods`."""


def check_names(config: RunConfig) -> None:
    """Raises UsageError for a misspelt protocol, metric or method, before anything is loaded."""
    protocol(config.protocol or "clean")
    if config.metrics is not None:
        resolve_metrics(config.metrics)
    if config.methods:
        choose_sources(config.methods, maps=config.maps)


def build_request(config: RunConfig, command: str = "", given: Given | None = None, progress: bool = True) -> Request:
    """Everything the configuration names, found and checked. Raises UsageError at the first thing that is missing."""
    given = given or Given()
    check_names(config)
    dataset = given.dataset or load_dataset(config.data or "samples", config.data_root, config.boxes)
    classifier = given.classifier or named_classifier(config)
    if dataset.compose:
        composed, classifier = dataset.compose(classifier)
        dataset = dataclasses.replace(composed, name=dataset.name)
    dataset = match_labels(dataset, classifier)
    classifier = classifier.at(Precision(getattr(torch, config.dtype), config.channels_last, config.compile))
    default = dataset.metrics or (WITH_BOXES if dataset.has("boxes") else DEFAULT_METRICS)
    metrics, timing = resolve_metrics(default if config.metrics is None else config.metrics, dataset)
    judges = load_judges(config, classifier, weights_of) if config.judges or not dataset.compose else ()
    columns, panel = judged(judged_metrics(config, metrics, dataset) if judges else (), judges)
    metrics += tuple(columns)
    view = View(config.full, config.json, config.sort)
    view.check((*metrics, *panel))
    layers, targets = several(config.layer), targets_of(config.target, dataset, classifier)
    chosen = resolve_protocol(config, dataset, targets, classifier)
    check_labels(dataset, classifier, chosen.name, {chosen.target, *(target.choice for target in targets)})
    remarks = [*dataset.remarks, *preparation(classifier, chosen), *(SEVERAL_CLASSES if len(targets) > 1 else ())]
    for remark in remarks:
        log.warning("%s", remark)
    return Request(
        classifier=classifier, dataset=dataset, protocol=chosen, metrics=metrics,
        sources=in_every_way(all_sources(config, chosen, given.sources), layers, targets if len(targets) > 1 else ()),
        out=config.out or default_out(classifier, dataset, chosen, layers), limit=config.limit, skip=config.skip,
        judges=judges, panel=tuple(panel), seed=config.seed,
        batch=batch_size(config, classifier, len(dataset.samples)), timing=timing,
        force=config.force, compute=not config.stored, command=command, config=config.as_mapping(),
        remarks=tuple(remarks), progress=progress, report=config.report, view=view,
        figure_images=figure_images(config, dataset),
    )  # fmt: skip


def figure_images(config: RunConfig, dataset: Dataset) -> tuple[str, ...]:
    """The ids that the configuration names for the figures. Raises UsageError for one that no image has."""
    named = tuple(split_list(config.figure_images or ""))
    known = [sample.id for sample in dataset.samples]
    for image in named:
        if image not in known:
            raise UsageError(f"--figure-images: {dataset.name} has no image {image!r}; {suggest(image, known)}")
    return named


def named_classifier(config: RunConfig) -> Classifier:
    """The classifier that the configuration names; of one that is in no list it is printed what was understood."""
    model = config.model or DEFAULT_MODEL
    others = {name for name in named_judges(config) if name != model}
    own = [text for text in config.weights if split_weights(text)[0] not in others]
    classifier = load_classifier(
        model, layer=first_layer(config.layer), weights=weights_for(model, own), device=check_device(config.device),
        facts=stated_facts(config),
    )  # fmt: skip
    if model not in CLASSIFIERS:
        print(classifier, flush=True)
    return classifier


def stated_facts(config: RunConfig) -> dict[str, Any]:
    """What the configuration says of the network."""
    facts = {"mean": config.mean, "std": config.std, "input_size": config.input_size, "output": config.output,
             "classes": read_classes(config.classes) if config.classes else None}  # fmt: skip
    return {name: value for name, value in facts.items() if value is not None}


def batch_size(config: RunConfig, classifier: Classifier, images: int) -> int:
    if config.batch_size == "auto":
        return find_batch(classifier, min(images, config.limit or images))
    return config.batch_size


def all_sources(config: RunConfig, chosen: Protocol, given: Sequence[Source]) -> tuple[Source, ...]:
    if not config.methods and not config.maps:
        named = choose_sources("controls", controls=True) if config.controls else ()
    else:
        named = choose_sources(config.methods, protocol=chosen, controls=config.controls, maps=config.maps)
    taken = {source.label for source in named}
    if clash := [source.label for source in given if source.label in taken]:
        raise UsageError(f"the name {clash[0]!r} is taken by a registered method; rename the function")
    return tuple(sorted([*given, *named], key=lambda source: source.control))


def first_layer(text: str | None) -> str | None:
    """The layer at which the network is cut, where `--layer` names one or several."""
    return next(iter(split_list(text or "")), None)


def several(text: str | None) -> tuple[str, ...]:
    """The layers of `--layer` where it names more than one: each is a row of its own."""
    layers = tuple(dict.fromkeys(split_list(text or "")))
    return layers if len(layers) > 1 else ()


def resolve_protocol(
    config: RunConfig, dataset: Dataset, targets: Sequence[Target], classifier: Classifier
) -> Protocol:
    """The protocol, for the class that is explained; where there are several, for the first of them, and all in its
    name."""
    chosen = own = protocol(config.protocol or dataset.protocol)
    if targets:
        chosen = own.with_fields(target=targets[0].choice)
    if len(targets) > 1:
        chosen = dataclasses.replace(chosen, name=f"{own.name}+target={','.join(t.choice for t in targets)}")
    if chosen.target.isdecimal() and int(chosen.target) >= classifier.num_classes:
        raise unknown_class(chosen.target, classifier, classifier.classes)
    within(1, classifier.input_size**2).check(
        f"protocol field steps, for the pixels of {classifier.name},", chosen.steps
    )
    return chosen


def resolve_metrics(text: str, dataset: Dataset | None = None) -> tuple[tuple[Metric, ...], bool]:
    """The metrics in the order given, and whether the timing pass is wanted.

    Raises UsageError for one that needs boxes or masks which no image of the data set has.
    """
    names = list(dict.fromkeys(split_list(text)))
    if not names:
        raise UsageError(f"--metrics is empty; {suggest('', [entry.name for entry in METRICS])}")
    metrics = tuple(METRICS[name].value for name in names if name != "T")
    for metric in metrics:
        if dataset and metric.needs and not dataset.has(metric.needs):
            raise UsageError(
                f"{metric.name} needs object {metric.needs}, and {dataset.name} has none"
                + ("; name a CSV or a folder of VOC files with --boxes" if metric.needs == "boxes" else "")
            )
    return metrics, "T" in names


def split_weights(text: str) -> tuple[str, Path]:
    """`--weights [MODEL=]FILE` as the model, "" for none, and the file. Names of both may hold "=": what exists as a
    file wins, the whole text first."""
    parts = [("", text), *((text[:i], text[i + 1 :]) for i, letter in enumerate(text) if letter == "=")]
    exist = ((name, file) for name, file in parts if exists(Path(file).expanduser()))
    name, file = next(exist, parts[min(1, len(parts) - 1)])
    return name, Path(file).expanduser()


def exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long a name, or none that a file system knows
        return False


def weights_for(model: str, given: Sequence[str]) -> Path | None:
    """The file that `--weights [MODEL=]FILE` names for this model."""
    chosen = None
    for text in given:
        name, file = split_weights(text)
        if name in ("", model):
            chosen = file
    if given and chosen is None:
        raise UsageError(f"--weights {' '.join(given)} names no file for {model}; write --weights {model}=FILE")
    return chosen


def weights_of(config: RunConfig, name: str) -> Path | None:
    """The file that --weights gives to a judge by its name alone."""
    return weights_for(name, [text for text in config.weights if split_weights(text)[0] == name])


def judged_metrics(config: RunConfig, metrics: Sequence[Metric], dataset: Dataset) -> tuple[Metric, ...]:
    """The metrics that the judges score: those of --judged, or AD, AG and AI, of which nobody's judges take those that
    the run has."""
    if config.judged is None:
        asked = resolve_metrics(DEFAULT_JUDGED, dataset)[0]
        return asked if config.judges else tuple(metric for metric in asked if metric in metrics)
    asked = resolve_metrics(config.judged, dataset)[0]
    if not asked:
        raise UsageError(f"--judged {config.judged} names no metric that a judge can score; write AD, AG, AI, I or D")
    return asked


def preparation(classifier: Classifier, chosen: Protocol) -> list[str]:
    """A remark where the network's own recipe resizes and crops otherwise than the protocol does."""
    ways = {"resize-crop": 224 / 256, "fit-crop": 1.0, "squash": None}
    used, own = ways[chosen.pixels], classifier.crop_pct
    if own is None or (used is not None and abs(used - own) < CROP_ROUNDING):
        return []
    shown = "squashed" if used is None else f"resized with crop {used:.3g}"
    return [f"{shown}, {classifier.interpolation}; this network's own recipe is crop {own:.3g}"]


def check_labels(dataset: Dataset, classifier: Classifier, name: str, targets: Collection[str]) -> None:
    """Refuse labels that the classifier does not know, and a protocol that needs labels where there are none."""
    labels = [sample.label for sample in dataset.samples if sample.label is not None]
    if labels and max(labels) >= classifier.num_classes:
        raise UsageError(
            f"{dataset.name} has labels up to {max(labels)}, but {classifier.name} knows {classifier.num_classes} "
            "classes; use a net of this data set's classes"
        )
    if "true" in targets and len(labels) < len(dataset.samples):
        raise UsageError(
            f"protocol {name} explains the true class, but {dataset.name} has "
            f"{plural(len(dataset.samples) - len(labels), 'image')} without a label"
            f"{''.join(f' ({remark})' for remark in dataset.remarks if 'label' in remark)}; add --target predicted"
        )
