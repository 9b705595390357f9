"""The leaderboard: what it says of known scores, in every format."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bench.core.metric import MapMetric, ScoreMetric
from bench.core.protocols import PROTOCOLS, protocol
from bench.tables.content import signed, three_digits
from bench.tables.formats import latex as render_latex
from bench.tables.formats import markdown as render_markdown
from bench.tables.leaderboard import MethodRow, build_leaderboard


def derives_nothing(case):
    yield from ()


DROP = ScoreMetric(
    name="AD",
    function=lambda scores: 0.0,
    better="lower",
    title="Average Drop",
    paper="",
    by_correctness=True,
    derive=derives_nothing,
)
RISE = ScoreMetric(
    name="AI",
    function=lambda scores: 0.0,
    better="higher",
    title="Average Increase",
    paper="",
    rate=True,
    by_correctness=True,
    derive=derives_nothing,
)
POOLED = MapMetric(
    name="BA",
    function=lambda case: 0.0,
    better="higher",
    title="Box accuracy",
    paper="",
    pool=lambda v: float(v.mean(0).max()),
)
PLAIN = MapMetric(name="size", function=lambda case: 0.0, better="none", title="Size", paper="", scale=1.0)


def scores_of(values: dict[str, np.ndarray], **columns) -> pd.DataFrame:
    """A row per method × image; `values` are ADs, AI is 1 where AD is under 0.1; every fourth image is wrong."""
    frames = []
    for method, drop in values.items():
        n = len(drop)
        frame = {
            "method": method, "image": [f"{i:04d}" for i in range(n)], "label": 1, "target": 1,
            "right": np.arange(n) % 4 != 0, "degenerate": "", "tied": 0.0, "AD": drop, "AI": (drop < 0.1).astype(float),
        }  # fmt: skip
        frames.append(pd.DataFrame(frame))
    return pd.concat(frames, ignore_index=True).astype({"right": "boolean"}).assign(**columns)


def noise(seed: int, n: int = 120) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.2, 0.6, n)


def rows_of(*labels: str, controls: tuple[str, ...] = (), **equal_to: str) -> list[MethodRow]:
    return [
        MethodRow(label, label in controls, "ok", equal_to=equal_to.get(label), seconds=0.1)
        for label in (*labels, *controls)
    ]


def board_of(rows, scores, metrics=(DROP, RISE), **provenance):
    return build_leaderboard(rows, scores, metrics, PROTOCOLS["clean"].value, provenance)


def records(folder, name="leaderboard.csv"):
    return list(csv.DictReader(io.StringIO((folder / name).read_text(encoding="utf-8"))))


@pytest.fixture
def small():
    values = {"good": noise(1, 20) - 0.2, "grad-cam": noise(2, 20), "fake-cam": noise(3, 20) * 0.01}
    rows = rows_of("grad-cam", "good", controls=("fake-cam",))
    return rows, scores_of(values)


def test_csv_columns_and_values(small, tmp_path):
    rows, scores = small
    board_of([*rows, MethodRow("no-cam", False, "skipped", "needs a ReLU")], scores).write(tmp_path)
    first, second, control, skipped = records(tmp_path)
    assert list(first) == [
        "method", "AD", "AD_low", "AD_high", "AD_n", "AI", "AI_low", "AI_high", "AI_n", "AD_right", "AD_wrong",
        "AI_right", "AI_wrong", "T_s", "T_low", "T_high", "passes", "images", "degenerate", "tied", "control",
        "equal_to", "trained_on", "status", "reason", "rank", "rank_low", "rank_high", "not_ranked",
    ]  # fmt: skip
    assert [row["method"] for row in (first, second, control, skipped)] == ["good", "grad-cam", "fake-cam", "no-cam"]
    drop = scores[scores.method == "good"].AD
    assert float(first["AD"]) == pytest.approx(100 * drop.mean(), rel=1e-5)
    assert float(first["AD_wrong"]) == pytest.approx(100 * drop.to_numpy()[::4].mean(), rel=1e-5)
    assert float(first["AD_low"]) < float(first["AD"]) < float(first["AD_high"])
    assert (first["control"], control["control"], first["images"], first["AD_n"]) == ("false", "true", "20", "20")
    assert (skipped["status"], skipped["reason"], skipped["AD"]) == ("skipped", "needs a ReLU", "")


def test_rates_have_wilson_intervals(tmp_path):
    board_of(rows_of("a"), scores_of({"a": np.array([0.0] * 8 + [0.5] * 2)})).write(tmp_path)
    (row,) = records(tmp_path)
    assert [float(row[key]) for key in ("AI", "AI_low", "AI_high")] == pytest.approx([80, 49.016, 94.3318], abs=1e-3)


def test_the_order_of_the_input_does_not_matter(small, tmp_path):
    rows, scores = small
    board_of(rows, scores).write(tmp_path / "one")
    board_of(rows[::-1], scores.sample(frac=1, random_state=1)).write(tmp_path / "other")
    names = ["leaderboard.csv", "leaderboard.md", "leaderboard.tex", "differences.csv"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_an_image_twice_is_refused(small):
    rows, scores = small
    with pytest.raises(ValueError, match="duplicate"):
        board_of(rows, pd.concat([scores, scores[:1]]))


def test_the_confidence_set_is_bold_and_equal_rows_with_it():
    clear = scores_of({"best": noise(1) - 0.2, "twin": noise(1) - 0.2, "worse": noise(2), "worst": noise(3) + 0.1})
    board = board_of(rows_of("best", "twin", "worse", "worst", twin="best"), clear)
    assert {line.method.label: line.cells["AD"].best for line in board.ranked} == {
        "best": True, "twin": True, "worse": False, "worst": False,
    }  # fmt: skip
    assert [line.label for line in board.ranked] == ["best", "twin (= best)", "worse", "worst"]
    page = render_markdown.leaderboard(board)
    assert re.search(r"\| best \| 1 \[1, 1\] \| \*\*\d", page)
    assert re.search(r"\| worse \| 2 \[2, 2\] \| \d", page)
    assert re.search(r"best & 1 \[1, 1\] & \\textbf\{", render_latex.leaderboard(board))


def test_equal_rows_count_once_in_ranks_and_tests(tmp_path):
    """Without the two twins `other` has the same p-values, and nobody is compared with its own double."""
    values = {"grad-cam": noise(1), "other": noise(2) - 0.02}
    twins = values | {"cam": noise(1), "xgrad-cam": noise(1)}
    equal = {"cam": "grad-cam", "xgrad-cam": "cam"}
    alone = board_of(rows_of(*values), scores_of(values))
    crowded = board_of(rows_of(*twins, **equal), scores_of(twins))
    assert crowded.differences == alone.differences
    assert {found.method for found in crowded.differences} == {"other"}
    assert [line.method.label for line in crowded.ranked] == ["other", "grad-cam", "cam", "xgrad-cam"]
    crowded.write(tmp_path)
    assert [row["equal_to"] for row in records(tmp_path)] == ["", "", "grad-cam", "cam"]


def test_a_method_equal_to_a_control_is_still_ranked():
    values = {"flat": noise(1), "grad-cam": noise(2), "fake-cam": noise(1)}
    board = board_of(rows_of("flat", "grad-cam", controls=("fake-cam",), flat="fake-cam"), scores_of(values))
    assert {line.method.label for line in board.ranked} == {"flat", "grad-cam"}
    assert {found.method for found in board.differences} == {"flat"}


def test_under_100_images_nothing_is_bold_and_a_line_says_why(small):
    board = board_of(*small)
    assert not any(cell.best for line in board.ranked for cell in line.cells.values())
    assert "**" not in render_markdown.leaderboard(board)
    assert any(note.startswith("nothing is bold: 20 images") for note in board.notes)


def test_a_dear_method_on_few_images_is_never_bold_and_leaves_the_others_their_test():
    values = {"best": noise(1, 300) - 0.1, "worse": noise(2, 300), "dear": noise(3, 40) - 0.2}
    board = board_of(rows_of(*values), scores_of(values))
    assert {line.method.label: line.cells["AD"].best for line in board.methods} == {
        "best": True, "worse": False, "dear": False,
    }  # fmt: skip
    assert "never bold, under 100 images: dear" in board.notes
    assert "scored on fewer than 300 images: dear (40)" in board.notes
    dear = board_of(rows_of(*values), scores_of(values | {"dear": noise(3, 150) - 0.2}))
    assert {line.method.label: line.cells["AD"].best for line in dear.methods}["dear"]


def test_a_metric_on_fewer_images_than_its_row_says_so_in_the_cell():
    scores = scores_of({"a": noise(1), "b": noise(2)})
    scores.loc[scores.image >= "0050", "AI"] = np.nan
    board = board_of(rows_of("a", "b"), scores)
    assert "(n=50)" in board.cell(board.ranked[0], RISE)
    assert "(n=" not in board.cell(board.ranked[0], DROP)


def test_a_control_that_wins_is_named(small):
    board = board_of(*small)
    value = f"{board.controls[0].cells['AD'].value:.1f}"
    wins = f"a control wins AD: fake-cam ({value}) beats every method: AD alone does not rank explainers"
    assert wins in board.notes
    assert wins in " ".join(board.text().split())
    modest = scores_of({"grad-cam": noise(1, 20) * 0.01, "fake-cam": noise(3, 20)})
    assert "a control wins" not in " ".join(board_of(rows_of("grad-cam", controls=("fake-cam",)), modest).notes)


def test_a_control_that_sees_the_boxes_wins_no_metric_of_the_boxes():
    """The box oracle is perfect by definition there; that it wins AD would be news."""
    scores = scores_of({"grad-cam": noise(1, 20) + 1, "box-oracle": noise(2, 20) * 0.01})
    rows = [*rows_of("grad-cam"), MethodRow("box-oracle", True, "ok", sees_boxes=True)]
    assert "a control wins AD: box-oracle" in " ".join(board_of(rows, scores, [DROP]).notes)
    on_boxes = replace(DROP, needs="boxes")
    assert "a control wins" not in " ".join(board_of(rows, scores, [on_boxes]).notes)


def test_a_control_that_draws_has_not_won():
    draw = scores_of({"grad-cam": noise(1, 20), "fake-cam": noise(1, 20)})
    assert "a control wins" not in " ".join(board_of(rows_of("grad-cam", controls=("fake-cam",)), draw).notes)


def test_differences_are_paired_and_holm_adjusted(tmp_path):
    base = np.array([0.1, 0.2, 0.3])
    scores = scores_of({"grad-cam": base, "worse": base + [0.1, 0.2, 0.3], "same": base})
    board_of(rows_of("grad-cam", "worse", "same"), scores, [DROP]).write(tmp_path)
    by_method = {row["method"]: row for row in records(tmp_path, "differences.csv")}
    worse, same = by_method["worse"], by_method["same"]
    assert list(worse) == ["method", "metric", "difference", "low", "high", "p", "p_holm", "n"]
    assert [float(worse[key]) for key in ("difference", "p", "p_holm", "n")] == pytest.approx([20, 0.25, 0.5, 3])
    assert [float(same[key]) for key in ("difference", "p", "p_holm")] == [0, 1, 1]
    assert {row[end] for row in (worse, same) for end in ("low", "high")} == {""}
    assert "Differences from grad-cam" in (tmp_path / "leaderboard.md").read_text(encoding="utf-8")


def test_no_reference_no_differences(tmp_path):
    board_of(rows_of("a", "b"), scores_of({"a": noise(1), "b": noise(2)})).write(tmp_path)
    assert records(tmp_path, "differences.csv") == []
    assert "Differences" not in (tmp_path / "leaderboard.md").read_text(encoding="utf-8")


def test_pooled_metrics_are_pooled_again_not_averaged():
    """Hits at three thresholds: each image is hit at one only, so the mean of the maxima would be 100 %."""
    vectors = [np.eye(3)[i % 3] for i in range(12)]
    scores = scores_of({"grad-cam": noise(1, 12), "b": noise(2, 12)}, BA=np.nan)
    scores["BA_vector"] = vectors + [np.array([1.0, 0.0, 0.0])] * 6 + [np.zeros(3)] * 5 + [None]
    board = board_of(rows_of("grad-cam", "b"), scores, [POOLED])
    cells = {line.method.label: line.cells["BA"] for line in board.methods}
    assert (cells["grad-cam"].value, cells["grad-cam"].n) == (pytest.approx(100 / 3), 12)
    assert (cells["b"].value, cells["b"].n) == (pytest.approx(100 * 6 / 11), 11)
    assert cells["b"].low < cells["b"].value < cells["b"].high
    (found,) = board.differences
    assert (found.n, found.difference) == (11, pytest.approx(100 * (6 - 4) / 11))


def test_right_and_wrong_stand_apart_with_their_counts(small):
    page = render_markdown.leaderboard(board_of(*small))
    split = page.partition("## Over rightly and wrongly classified images")[2]
    assert re.search(r"\| good \| 15 \|.*\| 5 \|", split)


def test_images_without_label_are_neither_right_nor_wrong(small):
    rows, scores = small
    board = board_of(rows, scores.assign(right=pd.array([pd.NA] * len(scores), dtype="boolean")))
    assert [(line.right, line.wrong) for line in board.ranked] == [(0, 0), (0, 0)]
    assert "rightly" not in render_markdown.leaderboard(board)
    board_of(rows, scores.assign(right=[None] * len(scores)))


def test_the_share_of_degenerate_maps_is_told(small):
    rows, scores = small
    scores.loc[(scores.method == "good") & (scores.image < "0005"), "degenerate"] = "constant"
    board = board_of(rows, scores)
    assert "degenerate maps (constant or not finite): good 25.0 %" in board.notes


def test_statuses_are_listed_and_their_scores_are_not(small):
    rows, scores = small
    rows = [replace(row, status="failed", reason="RuntimeError: no") if row.label == "good" else row for row in rows]
    board = board_of(rows, scores)
    assert [line.method.label for line in board.ranked] == ["grad-cam"]
    for text in (board.text(), render_markdown.leaderboard(board), render_latex.leaderboard(board)):
        assert "good: failed: RuntimeError: no" in text


def test_every_format_names_protocol_and_provenance(small):
    board = build_leaderboard(*small, [DROP], protocol("quick+steps=7"), {"weights sha256": "0a1b", "seed": 3})
    for text in (board.text(), render_markdown.leaderboard(board), render_latex.leaderboard(board)):
        assert "0a1b" in text
        assert "quick+steps=7" in text
        assert "steps 7" in text
        assert "for looking, not for citing" in text


@pytest.mark.parametrize("controls", [(), ("fake-cam",)])
def test_nothing_was_scored(controls, tmp_path):
    rows = [MethodRow("a", False, "failed", "no"), *rows_of(controls=controls)]
    for scores in (pd.DataFrame({"key": [], "method": [], "image": []}), scores_of({"a": noise(1, 3)})):
        board = board_of(rows, scores)
        board.write(tmp_path)
        assert "a: failed: no" in board.text()


def test_a_metric_nobody_has_and_one_image():
    one = board_of(rows_of("grad-cam", "b"), scores_of({"grad-cam": noise(1, 1), "b": noise(2, 1)}), [DROP, PLAIN])
    assert "size" not in one.ranked[0].cells
    assert np.isnan(one.ranked[0].cells["AD"].low)
    assert re.search(r"\| \d+\.\d \| – \|", render_markdown.leaderboard(one))


def test_a_metric_without_direction_is_neither_ranked_nor_tested():
    scores = scores_of({"grad-cam": noise(1), "b": noise(2)}, size=0.5)
    board = board_of(rows_of("grad-cam", "b"), scores, [PLAIN])
    assert board.differences == []
    assert not board.ranked[0].cells["size"].best
    assert board.cell(board.ranked[0], PLAIN) == "0.500 [0.500, 0.500]"


def test_latex_escapes():
    assert render_latex.escape("a_b & 5 % of grad-cam++") == r"a\_b \& 5 \% of grad-cam{+}{+}"
    assert render_latex.escape("--limit {1} ≈ #2 ~ ^ \\") == (
        r"{-}{-}limit \{1\} $\approx$ \#2 \textasciitilde{} \textasciicircum{} \textbackslash{}"
    )


def test_latex_tables_are_whole(small):
    rows, scores = small
    text = render_latex.leaderboard(board_of(rows, scores))
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    lines = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(lines) == 4
    assert {line.count(" & ") for line in lines} == {4}
    assert body.count(r"\midrule") == 2
    assert re.search(r"rank & AD\$\\downarrow\$ & AI\$\\uparrow\$ & T\(s\)", body)


def test_markdown_pipes_do_not_break_a_row():
    values = {"a(x=1|2)": noise(1, 15), "grad-cam": noise(2, 15)}
    page = render_markdown.leaderboard(board_of(rows_of(*values), scores_of(values)))
    (row,) = [
        line for line in page.splitlines() if line.startswith("| a(") and line.count("[") == 3 and "p " not in line
    ]
    assert len(re.split(r"(?<!\\)\|", row)) == 5 + 2
    assert r"a(x=1\|2)" in row


def test_numbers():
    assert [three_digits(x) for x in (None, 0.0, 0.0312, 1.234, 45.67, 123.4)] == [
        "–", "< 0.001", "0.031", "1.23", "45.7", "123",
    ]  # fmt: skip
    assert [signed(x, DROP) for x in (-0.01, 0.01, 1.26, -1.26)] == ["0.0", "0.0", "+1.3", "-1.3"]


def test_only_complete_rows_are_ranked(tmp_path):
    """`lucky` has the best AD and lacks AI; `few` would win everything on the 20 easy images it has."""
    scores = scores_of({"a": noise(1), "b": noise(2) + 0.1, "lucky": noise(3) - 0.2, "few": noise(4, 20) * 0.01})
    scores.loc[scores.method == "lucky", "AI"] = np.nan
    scores.loc[(scores.method == "few") & (scores.image > "0009"), "AI"] = np.nan
    board = board_of(rows_of("a", "b", "lucky", "few", controls=("sobel",)), scores)
    assert [line.method.label for line in board.ranked] == ["a", "b"]
    reasons = {line.method.label: line.not_ranked for line in board.unranked}
    assert reasons == {"lucky": "AI missing", "few": "AI on 10 of 120 images; n = 20"}
    board.write(tmp_path)
    assert [(row["method"], row["rank"], row["not_ranked"]) for row in records(tmp_path)] == [
        ("a", "1", ""), ("b", "2", ""), ("lucky", "", "AI missing"), ("few", "", reasons["few"]), ("sobel", "", ""),
    ]  # fmt: skip
    for text in (board.text(), render_markdown.leaderboard(board), render_latex.leaderboard(board)):
        places = [text.index(f"not ranked: {reasons[label]}") for label in ("lucky", "few")]
        assert places == sorted(places)
        assert text.index("not ranked: AI missing") > re.search(r"^(\| )?b ", text, re.MULTILINE).start()


def test_an_incomplete_row_does_not_move_the_ranks_of_the_others():
    values = {"a": noise(1), "b": noise(2) + 0.1, "c": noise(3) + 0.2}
    alone = board_of(rows_of(*values), scores_of(values))
    crowded = board_of(rows_of(*values, "few"), scores_of(values | {"few": noise(4, 20) - 0.2}))
    assert [line.place for line in crowded.ranked] == [line.place for line in alone.ranked]


def test_images_that_nobody_has_a_value_for_are_not_asked_of_a_row():
    """Half of the images have no box: no row has EP there, and every row is complete."""
    boxes = replace(PLAIN, name="EP", needs="boxes", better="higher", scale=100.0)
    scores = scores_of({"a": noise(1), "b": noise(2)})
    scores["EP"] = np.where(scores.image < "0060", scores.AD, np.nan)
    board = board_of(rows_of("a", "b"), scores, [DROP, boxes])
    assert not board.unranked
    assert all(np.isfinite(line.place.low) for line in board.ranked)


def test_no_complete_row_no_rank_and_a_line_says_so(tmp_path):
    scores = scores_of({"a": noise(1), "b": noise(2)})
    scores.loc[scores.method == "a", "AI"] = np.nan
    scores.loc[scores.method == "b", "AD"] = np.nan
    board = board_of(rows_of("a", "b"), scores)
    assert not board.ranked
    assert {line.method.label: line.not_ranked for line in board.unranked} == {"a": "AI missing", "b": "AD missing"}
    assert "nothing is ranked: no method has AD, AI on all images of the fullest rows" in board.notes
    board.write(tmp_path)


def test_the_rank_has_an_interval_and_equal_maps_share_it(tmp_path):
    """`best` is far ahead; `one` and `other` differ by noise alone, so that each may be second or third."""
    values = {"best": noise(1) * 0.1, "one": noise(2), "other": noise(2)[::-1] + 1e-4, "twin": noise(1) * 0.1}
    board = board_of(rows_of(*values, twin="best"), scores_of(values), [DROP])
    assert [(line.method.label, str(line.place)) for line in board.ranked] == [
        ("best", "1 [1, 1]"), ("twin", "1 [1, 1]"), ("one", "2 [2, 3]"), ("other", "3 [2, 3]"),
    ]  # fmt: skip
    board.write(tmp_path)
    third = records(tmp_path)[2]
    assert [third[name] for name in ("rank", "rank_low", "rank_high")] == ["2", "2", "3"]


def test_a_complete_twin_stands_for_a_row_that_is_not():
    scores = scores_of({"a": noise(1), "b": noise(2), "twin": noise(1)})
    scores.loc[scores.method == "a", "AI"] = np.nan
    board = board_of(rows_of("a", "b", "twin", twin="a"), scores)
    assert {line.method.label for line in board.ranked} == {"b", "twin"}
    assert [(line.method.label, line.not_ranked) for line in board.unranked] == [("a", "AI missing")]


def test_under_ten_images_no_interval_of_any_kind(tmp_path):
    values = {"grad-cam": noise(1, 9), "b": noise(2, 9)}
    board = board_of(rows_of(*values), scores_of(values))
    board.write(tmp_path)
    ends = [value for row in records(tmp_path) for name, value in row.items() if name.endswith(("_low", "_high"))]
    ends += [row[end] for row in records(tmp_path, "differences.csv") for end in ("low", "high")]
    assert set(ends) == {""}
    assert [str(line.place) for line in board.ranked] == ["1", "2"]
    assert "[" not in "".join(board.text().partition("nothing is bold")[0])


def test_a_control_wins_over_equal_images_only():
    """On the ten images that it has, fake-cam is worse than grad-cam; its mean is lower, as those images are easy."""
    easy = np.linspace(0.1, 1, 40)
    scores = scores_of({"grad-cam": easy, "fake-cam": easy[:10] + 0.01})
    assert scores.AD[scores.method == "fake-cam"].mean() < scores.AD[scores.method == "grad-cam"].mean()
    rows = rows_of("grad-cam", controls=("fake-cam",))
    assert "a control wins" not in " ".join(board_of(rows, scores).notes)
    hard = scores_of({"grad-cam": easy[:10], "fake-cam": easy - 0.01})
    assert (
        "a control wins AD: fake-cam (54.0) beats every method over the images of both (10 or more): "
        "AD alone does not rank explainers"
    ) in board_of(rows, hard).notes


def with_have(scores, *metrics):
    return scores.assign(have=[[metric.tag for metric in metrics]] * len(scores))


def test_values_without_a_finite_answer_are_counted_by_method_and_metric():
    scores = with_have(scores_of({"alive": noise(1, 8), "half-dead": noise(2, 8)}), DROP, RISE)
    scores.loc[(scores.method == "half-dead") & (scores.image < "0003"), ["AD", "AI"]] = np.nan
    board = board_of(rows_of("alive", "half-dead"), scores)
    assert "no value, since the network's answer is not finite: half-dead AD 3, AI 3 of 8 images" in board.notes
    assert [(line.method.label, line.not_ranked) for line in board.unranked] == [
        ("half-dead", "AD, AI on 5 of 8 images")
    ]


def test_a_column_without_any_value_says_why():
    boxes = [replace(PLAIN, name=name, needs="boxes", better="lower", scale=100.0) for name in ("EP", "F1")]
    deletion = replace(DROP, name="D")
    scores = with_have(scores_of({"a": noise(1, 8)}, EP=np.nan, F1=np.nan, AI=np.nan), DROP, deletion, *boxes)
    notes = board_of(rows_of("a"), scores, [DROP, RISE, deletion, *boxes]).notes
    assert "AI has no value: not computed yet" in notes
    assert "D has no value: the network's answer is not finite on any image" in notes
    assert "EP, F1 have no value: no image has object boxes" in notes


def test_unmeasured_columns_take_no_room():
    rows = [replace(row, seconds=None) for row in rows_of("a")]
    board = board_of(rows, scores_of({"a": noise(1, 20)}))
    assert board.header == ["method", "AD↓", "AI↑"]
    assert "T:" not in " ".join(board.notes)
