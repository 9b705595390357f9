"""Pictures of a comparison: two maps of a cell beside each other."""

from __future__ import annotations

import numpy as np

from bench.report.pairs import Pair, draw_pairs, plain_map
from bench.report.style import WIDTH

FLAT = np.full((8, 8), 0.5, np.float32)


def test_a_pair_shows_image_and_both_maps():
    drawn = draw_pairs([Pair("cam", "x: AD 1.0 and 2.0", FLAT, FLAT, np.zeros((8, 8, 3), np.uint8)),
                        Pair("grad-cam", "y", FLAT, None)])  # fmt: skip
    assert drawn.get_figwidth() <= WIDTH
    assert [len(axes.images) for axes in drawn.axes] == [1, 1, 1, 0, 1, 0]
    assert "x: AD 1.0 and 2.0" in {text.get_text() for text in drawn.texts}


def test_without_maps_there_is_no_picture():
    assert draw_pairs([Pair("cam", "x", None, None)]) is None


def test_the_map_is_the_positive_part_stretched():
    """A 1 × 2 ramp from -1 to 1: zero on the left, one at the right edge, monotone between."""
    found = plain_map(np.array([[-1.0, 1.0]]), 16)
    assert found[0, 0] == 0
    assert found[0, -1] == 1
    assert (np.diff(found[0]) >= 0).all()
