"""Several judges and their panel: networks of other sizes, helpers that may not judge, and maps scored again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import methods  # noqa: F401
import metrics  # noqa: F401
from bench.core.explainer import EXPLAINERS
from bench.core.metric import METRICS
from bench.core.perturb import resized
from bench.core.protocols import protocol
from bench.run.select_judges import usual_judges
from bench.scoring.evaluate import ScoringContext
from bench.scoring.judge import Judge, judged
from cambench import main
from tests.scoring.test_judge import JUDGES, command, judges, photos, rows_in, table  # noqa: F401
from tests.toys import SIZE, photo, toy_classifier

NAMES = ("AD", "AG", "AI")
HELPED = """
import torch
from bench.core.explainer import explainer
from bench.classifiers.load import load_classifier

def helpers(classifier, **parameters):
    return (load_classifier("JUDGES:other").digest,)

@explainer("helped", paper="a test", helpers=helpers)
def helped(classifier, images, targets):
    return images.mean(1)

@explainer("counted", paper="a test")
def counted(classifier, images, targets, *, side: int = 4):
    with open("CALLS", "a") as calls:
        calls.write("x")
    return images.mean(1)[:, ::side, ::side]
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory, judges) -> Path:  # noqa: F811
    """Explainers: one that a judge helps, and one that notes every call in a file beside it."""
    folder = tmp_path_factory.mktemp("plugin")
    file = folder / "helped.py"
    file.write_text(HELPED.replace("JUDGES", str(judges)).replace("CALLS", str(folder / "calls")))
    return file


def test_the_panel_is_the_mean_of_its_judges(photos, judges, tmp_path):  # noqa: F811
    given = ("--judges", f"{judges}:other,{judges}:same,{judges}:larger")
    assert main(command(photos, tmp_path, *given)) == 0
    frame = table(tmp_path)
    parts = ("judges.py:other", "judges.py:same", "judges.py:larger")
    for name in NAMES:
        mean = np.mean([frame[f"{name} ({part})"] for part in parts], axis=0, dtype=np.float64)
        assert frame[f"{name} (panel)"].to_numpy() == pytest.approx(mean, abs=1e-3)  # six digits in the file
        assert (frame[f"{name} (judges.py:same)"] == frame[name]).all()
    transfer = pd.read_csv(tmp_path / "transfer.csv").set_index(["method", "metric"])
    pairs = pd.read_csv(tmp_path / "differences.csv").set_index(["method", "metric"])
    for name in NAMES:
        found = transfer.loc[("layer-cam", name)]
        assert found.own == pairs.difference[("layer-cam", name)]
        assert found.confirmed == pairs.difference[("layer-cam", f"{name} (panel)")]


def test_rows_are_ranked_by_the_panel_and_not_by_each_judge_again(photos, judges, tmp_path):  # noqa: F811
    assert main(command(photos, tmp_path, "--judges", f"{judges}:other,{judges}:same")) == 0
    (line,) = (line for line in (tmp_path / "leaderboard.md").read_text().splitlines() if "order of the rows" in line)
    assert "AD (panel), AG (panel), AI (panel)" in line
    assert "other" not in line


def test_a_judge_of_another_size_is_asked_about_the_resized_masked_image():
    explained, net = toy_classifier("gap_linear"), toy_classifier("gap_linear", seed=3, input_size=40)
    judge, images = Judge(net, explained), photo(4)
    context = ScoringContext(explained, protocol("clean"), 0, 4, (judge,))
    raw = EXPLAINERS["grad-cam"].value.function(explained, images, explained.logits(images).argmax(1))
    up = torch.nn.functional.interpolate(raw.relu()[:, None], (SIZE, SIZE), mode="bilinear", align_corners=False)
    low, high = up.amin((1, 2, 3), keepdim=True), up.amax((1, 2, 3), keepdim=True)
    shown = [resized(x, 40) for x in (images, images * (up - low) / (high - low))]
    for i, row in enumerate(rows_in(context, judge, NAMES)):
        p, o = (float(net.logits(x[i : i + 1]).double().softmax(1)[0, row["target"]]) for x in shown)
        assert row[f"AD (toy-gap_linear) {judge.key}"] == pytest.approx(max(0, p - o) / p, abs=1e-5)
        assert row[f"top {judge.key}"] == int(net.logits(shown[0][i : i + 1]).argmax())


def test_values_where_the_judge_agrees(photos, judges, tmp_path):  # noqa: F811
    """Over the images in which the judge's own first class is the explained one, from the stored rows."""
    assert main(command(photos, tmp_path, "--judges", f"{judges}:other,{judges}:same")) == 0
    frame = table(tmp_path)
    assert (frame["AD (judges.py:same)_agreed_n"] == 6).all()  # the explained network itself
    assert frame["AD (judges.py:same)_agreed"].tolist() == frame["AD"].tolist()
    rows = pd.concat(pd.read_parquet(path) for path in (tmp_path / "scores").iterdir())
    (key,) = {name.rpartition(" ")[2] for name in rows if name.startswith("AD (judges.py:other)")}
    rows = rows[rows.method == "grad-cam"]
    agrees = rows[rows[f"top {key}"] == rows.target]
    assert frame.loc["grad-cam", "AD (judges.py:other)_agreed_n"] == len(agrees) < 6
    assert frame.loc["grad-cam", "AD (panel)_agreed_n"] == len(agrees)


def test_a_network_that_helped_never_judges(photos, judges, plugin, tmp_path):  # noqa: F811
    given = ("--plugin", str(plugin), "--methods", "grad-cam,helped", "--judges", f"{judges}:other,{judges}:larger")
    assert main(command(photos, tmp_path, *given)) == 0
    frame = table(tmp_path)
    assert frame.loc["helped", ["AD (judges.py:other)", "AD (panel)"]].isna().all()
    assert frame.loc["helped", ["AD", "AD (judges.py:larger)"]].notna().all()
    assert frame.loc["grad-cam", ["AD (judges.py:other)", "AD (panel)"]].notna().all()
    assert "AD (panel), AG (panel), AI (panel) missing" in frame.loc["helped", "not_ranked"]
    assert "helped to make its maps and does not judge them" in (tmp_path / "leaderboard.md").read_text()


@pytest.mark.parametrize(("net", "side"), [("tiny", 4), ("big", 1)])
def test_a_further_judge_scores_the_stored_maps_and_explains_nothing(
    photos, judges, plugin, tmp_path, net, side, capsys  # noqa: F811
):  # fmt: skip
    """Maps up to 56² are stored as they are, and their scores are those of a fresh run; larger ones are rounded."""
    named = f"{judges}:other,{judges}:larger"
    given = ["--plugin", str(plugin), "--methods", f"grad-cam,counted(side={side})"]
    if net == "big":
        (file := tmp_path / "big.py").write_text(BIG)
        named = f"{file}:twin,{file}:third"
        given += ["--model", f"{file}:build"]
    later, fresh, calls = tmp_path / "later", tmp_path / "fresh", plugin.with_name("calls")
    assert main(command(photos, later, *given)) == 0
    explained = calls.read_text()
    capsys.readouterr()
    assert main(command(photos, later, *given, "--judges", named)) == 0
    assert calls.read_text() == explained
    assert "(stored maps + 2F to score)" in capsys.readouterr().out
    assert main(command(photos, fresh, *given, "--judges", named)) == 0
    assert len(calls.read_text()) > len(explained)
    one, other = table(later), table(fresh)
    columns = [name for name in one if name.partition(" (")[0] in NAMES and not name.endswith(("low", "high"))]
    assert len(columns) > 12
    rounded = "stored in float16" in (later / "leaderboard.md").read_text()
    assert rounded == (net == "big")
    if rounded:
        assert one[columns].to_numpy() == pytest.approx(other[columns].to_numpy(), abs=0.1, nan_ok=True)
    else:
        pd.testing.assert_frame_equal(one[columns], other[columns])


BIG = """
import torch
from torch import nn

def net(seed):
    torch.manual_seed(seed)
    pool = nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), pool, nn.Flatten(), nn.Linear(8, 7))

def build():
    return net(0)

def twin():
    return net(1)

def third():
    return net(2)

for one in (build, twin, third):
    one.layer, one.input_size, one.mean, one.std = "1", 64, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
"""


def test_two_judges_of_one_name_are_refused():
    from bench.core.errors import UsageError

    judge = Judge(toy_classifier("deep_head"), toy_classifier("gap_linear"))
    with pytest.raises(UsageError, match="twice"):
        judged([METRICS["AD"].value], [judge, judge])


def test_an_embedded_network_is_judged_by_the_other_embedded_ones():
    net = toy_classifier("gap_linear")
    assert usual_judges(net) == []
    from bench.classifiers.load import load_classifier

    assert usual_judges(load_classifier("efficientnet_lite0")) == ["efficientnet_lite1", "efficientnet_lite2"]
