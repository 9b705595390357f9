"""Two results folders beside each other: the differences of the rows, in a terminal's width, and refusals."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import cambench as cb
from cambench import main
from tests.places import ASSETS

TINY = f"{ASSETS / 'tiny.py'}:build"


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> tuple[Path, Path, Path]:
    """Of one protocol at two layers, and of another protocol."""
    out = tmp_path_factory.mktemp("runs")
    fixed = ["--model", TINY, "--methods", "grad-cam,gradient", "--metrics", "AD,I", "--no-controls", "--device", "cpu"]
    for name, flags in (("a", ["--limit", "12"]), ("b", ["--limit", "11", "--layer", "1"]), ("c", ["--limit", "11",
                        "--target", "least"])):  # fmt: skip
        assert main([*fixed, *flags, "--out", str(out / name)]) == 0
    return out / "a", out / "b", out / "c"


def test_differences_are_those_of_the_rows_over_common_images(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    a, b, _ = runs
    capsys.readouterr()
    assert main(["--compare", str(a), str(b), "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in printed if str(tmp_path) not in line) <= 80
    assert "  target layer: 3 | 1" in printed
    one, other = cb.load_results(a).scores(), cb.load_results(b).scores()
    table = pd.read_csv(tmp_path / "differences.csv").set_index(["method", "metric"])
    for method in ("grad-cam", "gradient"):
        both = (other.AD[method] - one.AD[method]).dropna()
        row = table.loc[method, "AD"]
        assert row.n == len(both) == 11
        assert row.difference == pytest.approx(both.mean(), abs=1e-9)
    assert table.loc[("gradient", "AD"), "difference"] == 0
    images = pd.read_csv(tmp_path / "images.csv")
    top = images[images.metric == "AD"].iloc[0]
    moved = (other.AD - one.AD).dropna().abs()
    assert abs(top.difference) == pytest.approx(moved.max())
    assert (top.method, top.image) == moved.idxmax()
    assert (tmp_path / "settings.csv").is_file()
    assert "target layer: 3 | 1" in (tmp_path / "compare.md").read_text()


def test_another_protocol_is_refused_unless_it_is_meant(runs, tmp_path, capsys):
    a, _, c = runs
    command = ["--compare", str(a), str(c), "--out", str(tmp_path)]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "quick and quick+target=least; add --force" in error
    assert len(error.splitlines()) == 1
    assert main([*command, "--force"]) == 0


def test_folders_without_a_table_are_one_line(runs, tmp_path, capsys):
    assert main(["--compare", str(runs[0]), str(tmp_path)]) == 2
    assert "holds no leaderboard.csv; name a results folder" in capsys.readouterr().err


def test_compare_takes_folders(runs):
    a, b, _ = runs
    found = cb.compare(a, str(b)).differences
    pd.testing.assert_frame_equal(found, cb.compare(cb.load_results(a), cb.load_results(b)).differences)
