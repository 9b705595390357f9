"""The golden run: a small leaderboard whose every row was stored, with its key, before the code that made it changed.

A difference is either a defect or is written down in CHANGELOG, and then `python -m tests.golden.record` records it.
"""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from tests.golden.record import FACTS, FILE, METRICS, golden_rows

ROUNDING = 2e-3
"""What another processor's arithmetic may move; Adam amplifies it in Opti-CAM."""
AMPLIFIED = 2e-2


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> tuple[pd.DataFrame, pd.DataFrame]:
    golden = pd.read_csv(FILE, keep_default_na=False, na_values={name: [""] for name in METRICS})
    return golden, golden_rows(tmp_path_factory.mktemp("golden"))


def test_rows_and_their_facts_are_the_golden_ones(runs):
    golden, now = runs
    for name in ("method", "image", "target", "right", "degenerate"):
        assert now[name].tolist() == golden[name].tolist(), name


def test_keys_are_the_golden_ones(runs):
    golden, now = runs
    if set(golden.torch) != {torch.__version__}:
        pytest.skip("keys name the version of torch, and this is another one")
    assert now.key.tolist() == golden.key.tolist()


@pytest.mark.parametrize("name", ["p", "tied", *METRICS])
def test_values_are_the_golden_ones(runs, name):
    golden, now = runs
    tolerance = golden.method.str.startswith("opti-cam").map({True: AMPLIFIED, False: ROUNDING})
    moved = (now[name] - golden[name]).abs()
    assert (now[name].isna() == golden[name].isna()).all()
    assert not (moved > tolerance).any(), now[moved > tolerance][["method", "image", name]]


def test_the_golden_run_has_every_method_and_control():
    golden = pd.read_csv(FILE)
    assert len(golden) == 23 * 3
    assert set(FACTS) | set(METRICS) <= set(golden)
