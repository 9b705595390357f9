"""Krippendorff's α against the example of his own paper, and what rankings are worth on made-up scores."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from bench.tables.reliability import between, krippendorff_alpha, reliability
from bench.trust import main
from tests.places import ROOT

NAN = math.nan
EXAMPLE = np.array([
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
    [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
])  # fmt: skip
"""Four observers, twelve units: Krippendorff 2011, section C; his α with the interval metric is 0.849."""


def test_alpha_is_the_papers():
    assert krippendorff_alpha(EXAMPLE) == pytest.approx(0.849, abs=5e-4)


def test_alpha_at_its_ends():
    ranks = np.tile([1.0, 2.0, 3.0, 4.0], (6, 1))
    assert krippendorff_alpha(ranks) == pytest.approx(1)
    random = np.random.default_rng(0).permuted(np.tile(np.arange(8.0), (400, 1)), axis=1)
    assert krippendorff_alpha(random) == pytest.approx(0, abs=0.02)
    assert math.isnan(krippendorff_alpha(np.ones((3, 4))))
    assert math.isnan(krippendorff_alpha(np.full((3, 4), NAN)))


def test_a_clear_ranking_is_stable_and_noise_is_not():
    rng = np.random.default_rng(1)
    clear = np.arange(6) * 1.0 + rng.normal(0, 0.1, (80, 6))
    noise = rng.normal(0, 1, (80, 6))
    one, other = reliability("AD", clear), reliability("AD", noise)
    assert (one.methods, one.images) == (6, 80)
    assert one.alpha > 0.95
    assert one.stability == one.halves == pytest.approx(1)
    assert abs(other.alpha) < 0.1
    assert abs(other.halves) < 0.35
    assert other.stability > other.halves


def test_methods_that_lack_images_and_images_that_lack_methods_do_not_count():
    values = np.random.default_rng(2).normal(size=(30, 4))
    values[3, 2] = NAN
    assert (reliability("AD", values).methods, reliability("AD", values).images) == (3, 30)
    values[5, 0] = values[6, 1] = values[7, 3] = NAN
    assert (reliability("AD", values).methods, reliability("AD", values).images) == (4, 26)
    assert math.isnan(reliability("AD", values[:, :2]).alpha)


def test_rankings_of_two_tables_are_compared_over_common_methods():
    one = pd.DataFrame({"AD": [1.0, 2, 3, 4]}, index=list("abcd"))
    other = pd.DataFrame({"AD": [4.0, 3, 2, 9]}, index=list("abce"))
    assert between([one, other], "AD") == [[1.0, -1.0], [-1.0, 1.0]]
    assert math.isnan(between([one, one[:2]], "AD")[0][1])
    assert math.isnan(between([one, other], "I")[0][1])


def right_against_wrong(folder, metric):
    """From the columns of the table itself, over the methods that have all images."""
    table = pd.read_csv(folder / "leaderboard.csv")
    kept = table[(table.status == "ok") & ~table.control & table.equal_to.isna()]
    kept = kept[kept[f"{metric}_n"] == kept[f"{metric}_n"].max()]
    return kendalltau(kept[f"{metric}_right"], kept[f"{metric}_wrong"]).statistic


def test_the_program_reads_published_results(capsys):
    folder = ROOT / "results" / "published" / "efficientnet_lite0-imagenet-clean"
    other = ROOT / "results" / "published" / "resnet50-imagenet-clean"
    assert main([str(folder), str(other)]) == 0
    out = capsys.readouterr().out
    assert "τ right–wrong" in out
    cells = next(line for line in out.splitlines() if line.startswith("| AD | ")).split(" | ")
    assert float(cells[6]) == pytest.approx(right_against_wrong(folder, "AD"), abs=5e-3)
    assert "efficientnet_lite0-imagenet-clean and resnet50-imagenet-clean" in out
    assert main([str(ROOT / "docs")]) == 2
    assert "holds no leaderboard.csv" in capsys.readouterr().err
