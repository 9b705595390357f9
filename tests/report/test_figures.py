"""The figures of a run: what they show of known maps and scores, and that they fit a page."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import bench.report.figures  # noqa: F401  registers them
from bench.core.metric import METRICS
from bench.core.protocols import protocol
from bench.report.evidence import Evidence, Picture
from bench.report.figure import FIGURES, save
from bench.report.figures.failures import listed
from bench.report.figures.leaderboard import draw
from bench.report.figures.methods import agreement as methods_agreement
from bench.report.figures.methods import averaged
from bench.report.figures.metrics import agreement
from bench.report.figures.pareto import front
from bench.report.orient import areas
from bench.report.style import BEST, WIDTH
from bench.report.tiles import colours, heat, overlay
from bench.tables.leaderboard import MethodRow, build_leaderboard
from bench.tables.reliability import kendall

SIZE = 16
NAMES = ("AD", "I", "D")
JUDGED = dataclasses.replace(METRICS["AD"].value, name="AD (other)", judge="0123", title="Average Drop, judge other")


def evidence_of(values: dict[str, np.ndarray], maps: dict[str, torch.Tensor], **facts) -> Evidence:
    """Methods with the same AD, I and D per image (in [0, 1]); maps of one kind for all images."""
    rows = []
    for method, scores in values.items():
        for i, value in enumerate(scores):
            curve = np.linspace(0, value, 5)
            rows.append({"method": method, "image": f"{i:04}", "key": f"{method}-{i}", "target": 1, "p": 0.5,
                         "right": True, "degenerate": "", "tied": 0.0, "AD": value, "AD (other)": 0.5 * value + 0.1,
                         "I": 1 - value, "D": value,
                         "I_vector": curve, "D_vector": curve[::-1]})  # fmt: skip
    frame = pd.DataFrame(rows)

    def stored(kept: pd.DataFrame) -> dict[str, torch.Tensor]:
        found = {key: key.rsplit("-", 1)[0] for key in kept.index}
        return {key: maps[method] for key, method in found.items() if method in maps}

    controls = facts.pop("controls", ())
    equal = facts.pop("equal", {})
    methods = [MethodRow(m, m in controls, "ok", equal_to=equal.get(m), seconds=0.1 + i) for i, m in enumerate(values)]
    metrics = [*(METRICS[name].value for name in NAMES), *([JUDGED] if facts.pop("judged", False) else [])]
    board = build_leaderboard(methods, frame, metrics, protocol("clean"), {"classifier": "net", "data": "photos"})
    picture = Picture(np.full((SIZE, SIZE, 3), 100, np.uint8))
    images = sorted(frame.image.unique())
    return Evidence(
        board=board, rows=frame, images=pd.DataFrame({"id": images}), classes=["dog", "cat"], size=SIZE,
        orders=dict.fromkeys(values, "positive"), log_probabilities={}, load=lambda image: picture,
        stored_maps=stored, shown=images[:3], **facts,
    )  # fmt: skip


def ramp(sign: float = 1.0) -> torch.Tensor:
    return sign * torch.arange(16.0).reshape(4, 4)


@pytest.fixture(scope="module")
def run() -> Evidence:
    rng = np.random.default_rng(0)
    values = {name: np.clip(rng.normal(mean, 0.05, 30), 0, 1)
              for name, mean in (("a", 0.2), ("b", 0.4), ("c", 0.6), ("random", 0.5))}  # fmt: skip
    maps = {"a": ramp(), "b": ramp() - 5, "c": ramp().flip(0), "random": torch.ones(4, 4)}
    return evidence_of(values, maps, controls=("random",))


@pytest.fixture(scope="module")
def judged() -> Evidence:
    rng = np.random.default_rng(0)
    means = (("grad-cam", 0.4), ("b", 0.2), ("c", 0.6), ("random", 0.5))
    values = {name: np.clip(rng.normal(mean, 0.05, 30), 0, 1) for name, mean in means}
    return evidence_of(values, dict.fromkeys(values, ramp()), controls=("random",), judged=True)


@pytest.mark.parametrize("name", [entry.name for entry in FIGURES])
def test_every_figure_is_drawn_and_fits_a_page(run, judged, name, tmp_path):
    drawn = FIGURES[name].value(judged if name == "transfer" else run)
    assert drawn is not None
    save(drawn, tmp_path, name)
    with Image.open(tmp_path / f"{name}.png") as image:
        dots = image.info["dpi"][0]
        assert dots == pytest.approx(300, abs=1)
        assert image.width / dots <= WIDTH + 0.01
        assert len(image.convert("RGB").getcolors(1 << 24)) > 10
    assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_the_same_run_gives_the_same_files(run, tmp_path):
    for folder in ("one", "two"):
        save(FIGURES["curves"].value(run), tmp_path / folder, "curves")
    for kind in ("png", "pdf"):
        assert (tmp_path / "one" / f"curves.{kind}").read_bytes() == (tmp_path / "two" / f"curves.{kind}").read_bytes()


def test_without_images_there_are_no_pictures_of_maps(run):
    import dataclasses

    gone = dataclasses.replace(run, load=lambda image: None)
    assert FIGURES["maps"].value(gone) is None
    assert FIGURES["failures"].value(gone) is None
    assert FIGURES["curves"].value(gone) is not None


def test_signed_maps_are_those_that_fall_below_zero(run):
    drawn = FIGURES["maps-signed"].value(run)
    words = {text.get_text() for text in drawn.texts}
    assert "b" in words
    assert "a" not in words


def test_colours_brighten_with_the_map_and_white_is_zero_for_signed_ones():
    brightness = colours(False).astype(float) @ [0.299, 0.587, 0.114]
    assert (np.diff(brightness) >= -1).all()  # up to rounding: never a jet
    middle = heat(np.zeros((1, 1), np.float32), signed=True)[0, 0]
    assert middle.min() > 240
    ends = heat(np.array([[-1.0, 1.0]], np.float32), signed=True)[0]
    assert ends[0][2] > ends[0][0]  # purple below
    assert ends[1][0] > ends[1][2]  # orange above


def test_an_overlay_keeps_the_size_and_shows_both():
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[0] = 255
    flat = overlay(pixels, np.full((4, 4), 0.5, np.float32))
    assert flat.shape == (4, 4, 3)
    assert (flat[0] > flat[1]).all()


def test_the_confidence_set_is_coloured_where_images_suffice():
    rng = np.random.default_rng(1)
    values = {"best": rng.uniform(0, 0.1, 120), "worse": rng.uniform(0.5, 0.6, 120)}
    drawn = draw(evidence_of(values, {}).board)
    assert BEST in {line.get_color() for axes in drawn.axes for line in axes.lines}
    drawn = draw(evidence_of({name: v[:50] for name, v in values.items()}, {}).board)
    assert BEST not in {line.get_color() for axes in drawn.axes for line in axes.lines}


def test_a_control_that_wins_has_a_mark():
    rng = np.random.default_rng(2)
    values = {"a": rng.uniform(0.5, 0.6, 20), "b": rng.uniform(0.6, 0.7, 20), "fake": rng.uniform(0, 0.1, 20)}
    drawn = draw(evidence_of(values, {}, controls=("fake",)).board)
    assert "*" in {line.get_marker() for axes in drawn.axes for line in axes.lines}


def test_rows_of_equal_maps_are_one():
    values = {"cam": np.full(12, 0.5), "grad-cam": np.full(12, 0.5), "other": np.linspace(0.1, 0.2, 12)}
    board = evidence_of(values, {}, equal={"grad-cam": "cam"}).board
    assert sorted(name for _, name in board.folded) == ["cam = grad-cam", "other"]


def test_the_front_holds_what_nothing_beats_in_both():
    points = [("slow-good", 10.0, 5.0), ("fast-bad", 0.1, 1.0), ("slow-bad", 9.0, 0.5), ("middle", 1.0, 3.0)]
    assert [name for name, _, _ in front(points, higher=True)] == ["fast-bad", "middle", "slow-good"]
    assert [name for name, _, _ in front(points, higher=False)] == ["fast-bad", "slow-bad"]


def test_area_is_the_mean_of_the_scored_map():
    """A positive map of 4 × 4 with one half 1 and one half 0, upsampled bilinearly, keeps one half."""
    half = torch.zeros(4, 4)
    half[:2] = 1
    assert areas(evidence_of({"a": np.zeros(3)}, {"a": half}))["a"] == pytest.approx(50.0, abs=1e-4)


def test_metrics_agree_with_themselves_turned():
    """I falls and D rises with AD by construction: all agree once they are turned so that higher is better."""
    assert kendall([1, 2, 3, 4], [2, 4, 6, 8]) == pytest.approx(1.0)
    assert kendall([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1.0)
    assert np.isnan(kendall([1, 2], [1, 2]))
    values = {name: np.full(12, value) for name, value in (("a", 0.1), ("b", 0.2), ("c", 0.3))}
    names, table = agreement(evidence_of(values, {}))
    assert names == list(NAMES)
    assert [table[1][0], table[2][0], table[2][1]] == pytest.approx([1.0, 1.0, 1.0])


def test_the_worst_image_is_the_one_furthest_behind_the_others():
    a = np.full(12, 0.2)
    a[7] = 0.9
    found = {failure.method: failure for failure in listed(evidence_of({"a": a, "b": np.full(12, 0.3)}, {}))}
    assert found["a"].image == "0007"
    assert found["a"].why == "AD 90.0"


def test_own_gains_stand_against_confirmed_ones(run, judged):
    """The judge sees half of each difference, and less of AD is better."""
    assert FIGURES["transfer"].value(run) is None
    (axes,) = FIGURES["transfer"].value(judged).axes
    points = [line.get_xydata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert len(points) == 2
    for own, confirmed in points:
        assert confirmed == pytest.approx(own / 2, abs=1e-6)
    assert {own > 0 for own, _ in points} == {True, False}


def test_methods_agree_as_their_maps_do(run):
    """a and b are the same ramp but for a shift, c is upside down: turned rows, same columns."""
    table = methods_agreement(run, ["a", "b", "c", "random"])
    assert table[0, 0] == pytest.approx(1)
    assert table[0, 1] > 0.9
    assert table[0, 2] < -0.5
    assert np.isnan(table[0, 3])  # constant maps have no order
    assert averaged(np.arange(56.0 * 56).reshape(56, 56).astype(np.float32)) == pytest.approx(np.arange(56.0 * 56))
    doubled = np.kron(np.arange(56.0 * 56).reshape(56, 56), np.ones((4, 4))).astype(np.float32)
    assert averaged(doubled) == pytest.approx(np.arange(56.0 * 56))
