"""Limits: nested, balanced, and independent of the order in which files are listed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pandas as pd
import pytest

from bench.core.dataset import Dataset, Sample
from bench.core.errors import UsageError
from bench.data.selection import select

SIZES = [1, 7, 3, 12, 5]


def a_set() -> Dataset:
    return Dataset(
        "toy",
        tuple(
            Sample(f"{label}/{i}", Path(f"{label}/{i}.png"), label) for label, n in enumerate(SIZES) for i in range(n)
        ),
    )


def ids(dataset: Dataset) -> list[str]:
    return [sample.id for sample in dataset.samples]


def test_prefixes_nest_and_all_is_the_longest():
    order = ids(select(a_set()))
    assert sorted(order) == sorted(ids(a_set()))
    for limit in range(1, 40):
        assert ids(select(a_set(), limit, 0)) == order[:limit]


def test_classes_take_turns():
    for limit in range(1, sum(SIZES) + 1):
        taken = Counter(sample.label for sample in select(a_set(), limit, 3).samples)
        # No class is two ahead of another that still has images.
        for label, size in enumerate(SIZES):
            assert taken[label] == size or taken[label] >= max(taken.values()) - 1


def test_order_of_the_listing_does_not_matter():
    shuffled = list(a_set().samples)
    Random(1).shuffle(shuffled)
    assert ids(select(replace(a_set(), samples=tuple(shuffled)), 11, 5)) == ids(select(a_set(), 11, 5))


def test_seed_changes_images_and_classes():
    firsts = [select(a_set(), 3, seed).samples for seed in range(20)]
    assert len({samples[0].label for samples in firsts}) > 2
    assert len({sample.id for samples in firsts for sample in samples if sample.label == 3}) > 2


def test_every_image_of_a_class_is_equally_likely_first():
    first = Counter(next(s.id for s in select(a_set(), None, seed).samples if s.label == 2) for seed in range(300))
    assert len(first) == 3
    assert min(first.values()) > 70


def test_without_labels():
    bare = Dataset("bare", tuple(Sample(str(i), Path(f"{i}.png")) for i in range(9)))
    assert ids(select(bare, 4)) == ids(select(bare))[:4]
    assert ids(select(bare)) != ids(bare)


def test_a_limit_below_one_is_refused():
    with pytest.raises(UsageError, match="at least 1"):
        select(a_set(), 0)


@pytest.mark.parametrize("taken", range(1, sum(SIZES)))
def test_a_limit_and_a_skip_of_the_same_number_part_the_images_in_two(taken):
    order = ids(select(a_set(), seed=2))
    assert ids(select(a_set(), taken, 2)) == order[:taken]
    assert ids(select(a_set(), None, 2, skip=taken)) == order[taken:]


def test_a_limit_counts_from_behind_what_is_skipped():
    order = ids(select(a_set()))
    assert ids(select(a_set(), 4, 0, skip=10)) == order[10:14]
    assert ids(select(a_set(), 100, 0, skip=10)) == order[10:]


def test_a_manifest_is_skipped_like_a_data_set():
    samples = a_set().samples
    rows = pd.DataFrame({"id": [s.id for s in samples], "label": [s.label for s in samples], "problem": ""})
    assert list(select(rows, 5, 1, skip=3)["id"]) == ids(select(a_set(), 5, 1, skip=3))


@pytest.mark.parametrize("skip", [sum(SIZES), 1000])
def test_a_skip_that_leaves_nothing_is_refused(skip):
    with pytest.raises(UsageError, match=f"--skip {skip} leaves none of {sum(SIZES)} images"):
        select(a_set(), None, 0, skip)


def test_a_negative_skip_is_refused():
    with pytest.raises(UsageError, match="at least 0"):
        select(a_set(), None, 0, -1)


def test_equal_ids_are_refused():
    with pytest.raises(UsageError, match="2 images have the id 'x'"):
        Dataset("twice", (Sample("x", Path("x.png")), Sample("x", Path("x.jpg"))))
