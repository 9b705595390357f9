"""Which of a network's classes the classes of a data set are: by name where both have names, never by guess."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache, cached_property

from bench.core.classifier import Classifier
from bench.core.dataset import Dataset
from bench.core.errors import UsageError, plural
from bench.data.packages import package_folder

SYNSET = re.compile(r"n\d{8}")
AGREE = 0.95
"""Share of the places of a list of 1000 names that must hold ImageNet's class of that place."""
NAMED = 5
TELL = "name the network's classes with --classes FILE"


def match_labels(dataset: Dataset, classifier: Classifier) -> Dataset:
    """The data set with its labels as indices of the classifier's classes, and remarks on what has no class there.

    Equal lists, and two lists of ImageNet's 1000 classes in the usual order, are matched by position. The classes of a
    network that states names are found by name, synset or first synonym; an image whose class is not found, or not
    alone, loses its label. A network that states none takes as many classes by position, and folders that are named by
    index by their index; otherwise all labels are ignored.
    """
    if dataset.classes is None or dataset.classes == classifier.classes or not dataset.samples:
        return dataset
    if classifier.stated_classes:
        return by_name(dataset, classifier)
    return by_number(dataset, classifier)


def by_number(dataset: Dataset, classifier: Classifier) -> Dataset:
    """For a network that states no names."""
    known, count = dataset.classes or (), classifier.num_classes
    if all(name.isdecimal() for name in known):
        return by_index(dataset, classifier)
    if len(known) != count:
        return ignored(dataset, counts(dataset, classifier))
    places = f"in sorted order, are taken for its classes 0 … {count - 1}"
    return said(dataset, f"the network states no class names: the {noun(dataset)}, {places}")


def by_index(dataset: Dataset, classifier: Classifier) -> Dataset:
    """Folders named 0, 1, … or 281 are classes by their index."""
    index = [int(name) for name in dataset.classes or ()]
    if max(index) >= classifier.num_classes or len(set(index)) < len(index):
        last = classifier.num_classes - 1
        why = f"the {noun(dataset)} are numbers up to {max(index)}, the network's classes 0 … {last}"
        return ignored(dataset, f"{why}: labels ignored")
    return relabelled(dataset, classifier.classes, dict(enumerate(index)))


def by_name(dataset: Dataset, classifier: Classifier) -> Dataset:
    """For a network that states names."""
    ours, theirs = Names(dataset.classes or ()), Names(classifier.classes)
    if ours.is_imagenet and theirs.is_imagenet:
        return relabelled(dataset, classifier.classes, {label: label for label in range(len(ours.names))})
    images = Counter(sample.label for sample in dataset.samples if sample.label is not None)
    found = {label: ours.matches(label, theirs) for label in images}
    if not any(len(classes) == 1 for classes in found.values()) and all(ours.names[x].isdecimal() for x in images):
        return by_index(dataset, classifier)
    label_of = {label: classes[0] for label, classes in found.items() if len(classes) == 1}
    missing = [label for label in images if not found[label]]
    several = [label for label in images if len(found[label]) > 1]
    remarks = []
    if missing:
        names = listed([ours.names[label] for label in missing])
        what = f"not among the classes of {classifier.name}: {names}"
        has = f"it has {listed(classifier.classes)}"
        remarks.append(f"{what} ({unlabelled(images, missing)}); {has}; rename the folders, or {TELL}")
    for label in several:
        indices = " and ".join(f"{i} ({classifier.classes[i]})" for i in found[label])
        remarks.append(
            f"{ours.names[label]} names several classes of {classifier.name}, {indices} "
            f"({unlabelled(images, [label])}); rename the folder, for instance to the index or synset"
        )
    if not label_of:
        remarks = [f"{counts(dataset, classifier)}; {text}" for text in remarks[:1]]
    return said(relabelled(dataset, classifier.classes, label_of), *remarks)


def counts(dataset: Dataset, classifier: Classifier) -> str:
    ours, theirs = len(dataset.classes or ()), classifier.num_classes
    other = " of other names" if ours == theirs else ""
    text = f"{ours} {noun(dataset)}, {theirs} {'class' if theirs == 1 else 'classes'}{other}: labels ignored"
    if classifier.num_classes != 1001 or not Names(dataset.classes or ()).is_imagenet:
        return text
    return (
        f"{text}; a net of 1001 logits usually has a class for the background before (or after) ImageNet's 1000: "
        "wrap it to leave that one out"
    )


def noun(dataset: Dataset) -> str:
    if dataset.name != "folder":
        return f"classes of {dataset.name}"
    return "folder" if len(dataset.classes or ()) == 1 else "folders"


def ignored(dataset: Dataset, why: str) -> Dataset:
    samples = tuple(dataclasses.replace(sample, label=None) for sample in dataset.samples)
    return said(dataclasses.replace(dataset, samples=samples, classes=None), f"{why}; {TELL}")


def relabelled(dataset: Dataset, classes: Sequence[str], label_of: dict[int, int]) -> Dataset:
    samples = tuple(
        dataclasses.replace(sample, label=None if sample.label is None else label_of.get(sample.label))
        for sample in dataset.samples
    )
    return dataclasses.replace(dataset, samples=samples, classes=tuple(classes))


def said(dataset: Dataset, *remarks: str) -> Dataset:
    return dataclasses.replace(dataset, remarks=tuple(dict.fromkeys((*dataset.remarks, *remarks))))


def same_classes(one: Classifier, other: Classifier) -> bool:
    """Whether equal indices name equal classes, as far as names are stated."""
    if not (one.stated_classes and other.stated_classes) or one.classes == other.classes:
        return True
    if Names(one.classes).is_imagenet and Names(other.classes).is_imagenet:
        return True
    return [plain(name) for name in one.classes] == [plain(name) for name in other.classes]


def check_same_classes(role: str, other: Classifier, explained: Classifier) -> None:
    """Raises UsageError where equal indices of two networks name different classes; `role` is the other one's."""
    if other.num_classes != explained.num_classes:
        raise UsageError(
            f"{role} {other.name} has {other.num_classes} classes, {explained.name} {explained.num_classes}; "
            f"name another {role}"
        )
    if not same_classes(other, explained):
        raise UsageError(
            f"{role} {other.name} names its classes otherwise than {explained.name}, {other.classes[0]} first and not "
            f"{explained.classes[0]}; name another {role}"
        )


def listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f", … ({len(names)})" if len(names) > NAMED else "")


def unlabelled(images: Counter[int], labels: Sequence[int]) -> str:
    return f"{plural(sum(images[label] for label in labels), 'image')} without label"


class Names:
    """A list of class names, and by what else each class can be called."""

    def __init__(self, names: Sequence[str]):
        self.names = tuple(names)

    @cached_property
    def is_imagenet(self) -> bool:
        """Whether these are ImageNet's 1000 classes in the usual order, by synset or any synonym."""
        if len(self.names) != 1000:
            return False
        places = zip(self.names, imagenet_synsets(), strict=True)
        agreeing = sum(bool(calls(name) & {synset, *map(plain, synonyms(synset))}) for name, synset in places)
        return agreeing >= AGREE * len(self.names)

    def synset(self, index: int) -> str | None:
        """The class's synset, if it is known."""
        if self.is_imagenet:
            return imagenet_synsets()[index]
        return self.names[index] if SYNSET.fullmatch(self.names[index]) else None

    @cached_property
    def by_call(self) -> dict[str, list[int]]:
        """Indices of the classes that go by a name."""
        found: dict[str, list[int]] = {}
        for index, name in enumerate(self.names):
            for call in calls(name, self.synset(index)):
                found.setdefault(call, []).append(index)
        return found

    def find(self, text: str, synset: str | None = None) -> list[int]:
        """The classes that `text` names: by its synset, by the whole name or its first synonym; case, `_`, `-` and
        spaces do not matter, unless two classes differ in nothing else."""
        synset = text if SYNSET.fullmatch(text) else synset
        if synset in self.by_call:
            return self.by_call[synset]
        found = sorted({index for call in calls(text, synset) for index in self.by_call.get(call, ())})
        exact = [index for index in found if self.names[index] == text]
        return exact if len(exact) == 1 and not self.is_imagenet else found

    def matches(self, index: int, others: Names) -> list[int]:
        """The classes of `others` that class `index` may be."""
        synset = self.synset(index)
        found = others.find(self.names[index], synset)
        shared = {other for call in calls(self.names[index], synset) for other in self.by_call[call]}
        if len(found) == 1 and self.is_imagenet and len(shared) > 1 and synset not in others.by_call:
            return []  # which of ImageNet's two cranes their crane is, nobody knows
        return found


def calls(name: str, synset: str | None = None) -> set[str]:
    """What a class goes by."""
    known = {synset, plain(synonyms(synset)[0])} if synset else set()
    return {plain(name), plain(name.split(",")[0]), *(call for call in known if call)} - {""}


def plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFC", name)).casefold()


@cache
def imagenet_synsets() -> tuple[str, ...]:
    """In the usual order of the classes."""
    return tuple((package_folder("timm") / "data/_info/imagenet_synsets.txt").read_text().split())


def synonyms(synset: str) -> list[str]:
    """WordNet's names of a synset; the synset itself for one that is unknown."""
    return lemmas().get(synset, synset).split(", ")


@cache
def lemmas() -> dict[str, str]:
    text = (package_folder("timm") / "data/_info/imagenet_synset_to_lemma.txt").read_text(encoding="utf-8")
    return dict(line.split("\t", 1) for line in text.splitlines() if "\t" in line)
