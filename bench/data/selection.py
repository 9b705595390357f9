"""Which images a limit takes, and which are left when it is skipped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import TypeVar

import pandas as pd

from bench.core.dataset import Dataset
from bench.core.errors import UsageError
from bench.core.seeds import content_hash

D = TypeVar("D", Dataset, pd.DataFrame)


def select(images: D, limit: int | None = None, seed: int = 0, skip: int = 0) -> D:
    """The first `limit` images after the first `skip`, all for None, in an order that takes one image of each class in
    turn: `limit=n` and `skip=n` part the images in two.

    Classes stand in the order of hash(seed, label), a class' images in that of hash(seed, id): a smaller limit gives a
    prefix of a larger one's images, and neither depends on the order of the input. Of a manifest, images with a problem
    are left out first. Raises UsageError for a limit below 1, a skip below 0 and a skip that leaves no image.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit must be at least 1, not {limit}")
    if skip < 0:
        raise UsageError(f"--skip must be at least 0, not {skip}")
    if isinstance(images, Dataset):
        order = round_robin([s.id for s in images.samples], [s.label for s in images.samples], seed)
        return replace(images, samples=tuple(images.samples[i] for i in part(order, limit, skip)))
    usable = images[images["problem"] == ""]
    labels = [None if pd.isna(label) else int(label) for label in usable["label"]]
    return usable.iloc[part(round_robin(list(usable["id"]), labels, seed), limit, skip)].reset_index(drop=True)


def part(order: Sequence[int], limit: int | None, skip: int) -> Sequence[int]:
    if skip and skip >= len(order):
        raise UsageError(f"--skip {skip} leaves none of {len(order)} images; skip fewer")
    return order[skip:][:limit]


def round_robin(ids: Sequence[str], labels: Sequence[Hashable], seed: int) -> list[int]:
    """Positions in the order in which they are taken."""
    members = defaultdict(list)
    for position in sorted(range(len(ids)), key=lambda i: content_hash(seed, "image", ids[i])):
        members[labels[position]].append(position)
    turn = {position: rank for positions in members.values() for rank, position in enumerate(positions)}
    place = {label: content_hash(seed, "class", label) for label in members}
    return sorted(range(len(ids)), key=lambda i: (turn[i], place[labels[i]]))
