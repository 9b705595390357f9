"""Which classes a run explains."""

from __future__ import annotations

from collections.abc import Sequence

from bench.core.classifier import Classifier
from bench.core.dataset import Dataset
from bench.core.errors import UsageError, suggest
from bench.core.protocols import RANKED, TARGETS
from bench.core.spec import split_list
from bench.data.labels import Names, imagenet_synsets, plain, synonyms
from bench.scoring.sources import Target

SHORT = {"top3": RANKED}
"""Words for several classes."""
SEVERAL_CLASSES = ("rows of several classes stand in one table: compare those of one class with each other",)


def targets_of(text: str | None, dataset: Dataset, classifier: Classifier) -> tuple[Target, ...]:
    """The classes that `--target` names, each once: of `TARGETS`, `top3`, or classes, with commas between. A class
    whose own name holds commas is found first."""
    if not text:
        return ()
    names = class_names(dataset, classifier)
    whole = plain(text) in map(plain, names.names)
    parts = [text] if whole else split_list(text) or [text]
    words = [word for part in parts for word in SHORT.get(part, (part,))]
    choices = dict.fromkeys(target_class(word, dataset, classifier) for word in words)
    return tuple(Target(choice, class_name(choice, names)) for choice in choices)


def class_names(dataset: Dataset, classifier: Classifier) -> Names:
    """The network's names of its classes or, where it states none, the data set's, once labels are matched."""
    named = dataset.classes and len(dataset.classes) == classifier.num_classes and not classifier.stated_classes
    return Names(dataset.classes if named and dataset.classes else classifier.classes)


def class_name(choice: str, names: Names) -> str:
    """What a row of the class is called: its first name, or its index where that name is not its alone."""
    if not choice.isdecimal() or int(choice) >= len(names.names):
        return choice
    first = names.names[int(choice)].split(",")[0]
    return first if first != choice and names.find(first) == [int(choice)] else f"class {choice}"


def target_class(text: str, dataset: Dataset, classifier: Classifier) -> str:
    """One of `TARGETS`, or the index of a class given by index, name, synset or synonym. Raises UsageError."""
    if text in RANKED[classifier.num_classes :]:
        raise UsageError(f"--target {text}: {classifier.name} has only {classifier.num_classes} classes")
    if text in TARGETS:
        return text
    names = class_names(dataset, classifier)
    found = names.find(text) or by_synonym(text, names)
    if len(found) == 1:
        return str(found[0])
    if found:
        choice = " and ".join(f"{index} ({names.names[index]})" for index in found)
        raise UsageError(f"--target {text} names {len(found)} classes of {classifier.name}: {choice}; give the index")
    if text.isdecimal() and int(text) < classifier.num_classes:
        return text
    raise unknown_class(text, classifier, names.names)


def by_synonym(text: str, names: Names) -> list[int]:
    """ImageNet's classes of which WordNet has this name, not only as the first."""
    if not names.is_imagenet:
        return []
    synsets = enumerate(imagenet_synsets())
    return [index for index, synset in synsets if plain(text) in map(plain, synonyms(synset))]


def unknown_class(text: str, classifier: Classifier, names: Sequence[str]) -> UsageError:
    near = suggest(text.lower(), [name.lower() for name in names])
    indices = f"0 … {classifier.num_classes - 1}"
    return UsageError(f"--target {text!r} is not a class of {classifier.name} ({indices}); {near}")
