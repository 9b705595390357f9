"""Protocols are frozen values whose changes show in their names."""

from __future__ import annotations

import dataclasses

import pytest

from bench.core.errors import UsageError
from bench.core.protocols import PROTOCOLS, protocol


def test_a_changed_field_renames_the_protocol_and_changes_its_key():
    clean, changed = protocol("clean"), protocol("clean+target=true+steps=14")
    assert changed.name == "clean+steps=14+target=true"
    assert (changed.target, changed.steps) == ("true", 14)
    assert changed.key != clean.key


def test_a_field_set_to_its_own_value_changes_nothing():
    assert protocol("clean+target=predicted") == protocol("clean")


def test_protocols_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        protocol("clean").steps = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("claen", "did you mean 'clean'"),
        ("clean+tarket=true", "did you mean 'target'"),
        ("clean+steps=few", "steps='few' is not int"),
        ("clean+masked_out=white", r"not black\|mean"),
        ("clean+steps=0", "steps must be from 1 to 16777216, not 0"),
        ("clean+target=both", "true, predicted, second, third, least or a class index"),
    ],
)
def test_a_wrong_protocol_is_one_clear_error(text, message):
    with pytest.raises(UsageError, match=message):
        protocol(text)


def test_the_papers_protocols_differ_where_the_papers_do():
    opticam, castream, rise = (PROTOCOLS[n].value for n in ("opticam-2024", "castream-2024", "rise-2018"))
    assert (opticam.pixels, castream.pixels) == ("resize-crop", "squash")
    assert opticam.target == castream.target == "true"
    assert rise.target == "predicted"
    assert (opticam.insertion_start, castream.insertion_start) == ("blur-11-5", "blur-5-5")
    assert {p.deletion_end for p in (opticam, castream, rise)} == {"mean"}
    assert (opticam.masked_out, rise.masked_out) == ("black", "mean")
