"""The printed table: at 80, 120 and 200 columns, and never a wrapped row."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench.core.errors import UsageError
from bench.core.metric import METRICS
from bench.core.protocols import protocol
from bench.run.shown import as_json, closing, spoken
from bench.tables.leaderboard import MethodRow, build_leaderboard
from bench.tables.terminal import leaderboard
from tests.tables.test_tables import scores_of

NAMES = ("AD", "AI", "AG", "I", "D")


def board_of(images: int = 120):
    rng = np.random.default_rng(0)
    values = {name: np.clip(rng.normal(mean, 0.1, images), 0, 1) for name, mean in (
        ("grad-cam", 0.4), ("opti-cam(steps=100,lr=0.1,objective=norm)", 0.2), ("cam", 0.4), ("fake-cam", 0.0),
        ("random", 0.9))}  # fmt: skip
    values["cam"] = values["grad-cam"]
    scores = scores_of(values)
    for name in ("AG", "I", "D"):
        scores[name] = scores.AD
    controls = {"fake-cam", "random"}
    rows = [MethodRow(name, name in controls, "ok", equal_to="grad-cam" if name == "cam" else None, seconds=0.5)
            for name in values]  # fmt: skip
    rows.append(MethodRow("score-cam", False, "skipped", "needs ≈1281 passes per image; quick allows 200"))
    return build_leaderboard(rows, scores, [METRICS[n].value for n in NAMES], protocol("clean"), {"classifier": "net"})


def rows_of(text: str, name: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(name)]


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 200])
def test_no_line_is_wider_than_the_terminal(width):
    text = leaderboard(board_of(), width)
    assert max(map(len, text.splitlines())) <= width
    assert "score-cam: skipped" in text


def test_80_columns_show_values_and_the_best_control():
    text = leaderboard(board_of(), 80)
    (row,) = rows_of(text, "grad-cam (+1 equal)")
    assert not set("±[") & set(row)
    assert rows_of(text, "best control")
    assert not rows_of(text, "fake-cam")
    assert not rows_of(text, "cam ")
    assert "AD↓!" in text  # fake-cam wins it
    assert "*" in rows_of(text, "opti-cam(")[0]


def test_names_that_begin_alike_are_told_apart_by_their_ends():
    names = [f"consensus-cam(companions=a.safetensors,variables={v})" for v in ("map", "channels")]
    values = dict(zip(names, np.random.default_rng(0).uniform(size=(2, 30)), strict=True))
    rows = [MethodRow(name, False, "ok") for name in names]
    board = build_leaderboard(rows, scores_of(values), [METRICS["AD"].value], protocol("clean"), {"classifier": "net"})
    for width in (80, 120):
        text = leaderboard(board, width)
        starts = [row.split()[0] for row in rows_of(text, "consensus")]
        assert len(set(starts)) == 2
        assert any(start.endswith("map)") for start in starts)


def test_120_columns_show_half_widths_and_every_control():
    text = leaderboard(board_of(), 120)
    assert "±" in rows_of(text, "grad-cam")[0]
    assert rows_of(text, "fake-cam")


def test_200_columns_show_intervals_as_the_table_has_them():
    board = board_of()
    cell = next(line for line in board.lines if line.label == "grad-cam").cells["AD"]
    text = leaderboard(board, 200)
    assert f"{cell.value:.1f} [{cell.low:.1f},{cell.high:.1f}]" in rows_of(text, "grad-cam")[0]


def test_metrics_that_do_not_fit_stand_in_a_second_block():
    text = leaderboard(board_of(), 50)
    assert text.count("method  ") > 1
    assert [text.count(f" {name}") > 0 for name in ("AD↓", "D↓", "T(s)")] == [True] * 3


def test_rows_stand_by_the_metric_that_is_asked_for():
    text = leaderboard(board_of(), 120, "AG")
    names = [line.split()[0] for line in text.splitlines() if line.startswith(("grad-cam", "opti-cam"))]
    assert names[0].startswith("grad-cam")  # AG is higher for it here
    with pytest.raises(UsageError, match="did you mean 'AD'|AD"):
        leaderboard(board_of(), 120, "ADD")


def test_json_has_the_numbers_of_the_csv():
    board = board_of()
    found = json.loads(as_json(board))
    row = next(row for row in found["rows"] if row["method"] == "grad-cam")
    cell = next(line for line in board.lines if line.label == "grad-cam").cells["AD"]
    assert row["AD"] == pytest.approx(cell.value, rel=1e-5)
    assert found["rows"][-1]["status"] == "skipped"
    assert found["rows"][-1]["AD"] is None


def test_the_last_line_says_where_and_how_long(tmp_path):
    assert closing(tmp_path, 130.4, True) == f"results in {tmp_path}: index.html, leaderboard.csv, figures/; 2 min 10 s"
    assert [spoken(s) for s in (0.84, 42, 11100)] == ["0.8 s", "42 s", "3 h 5 min"]
