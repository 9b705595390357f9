"""A judge: another network that scores the same derived images for the same class."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import methods  # noqa: F401
import metrics  # noqa: F401
from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from bench.core.explainer import EXPLAINERS
from bench.core.metric import METRICS
from bench.core.protocols import protocol
from bench.core.user_code import load_file
from bench.scoring.evaluate import ScoringContext, evaluate
from bench.scoring.judge import Judge
from bench.scoring.scorer import Scorer
from bench.scoring.sources import ExplainerSource, Item
from bench.tables.leaderboard import Leaderboard
from cambench import main
from tests.places import ASSETS
from tests.toys import CLASSES, SIZE, photo, toy_classifier

TINY = f"{ASSETS / 'tiny.py'}:build"
NAMES = ("AD", "AG", "AI", "I", "D")
JUDGED = [f"{name} (judges.py:other)" for name in ("AD", "AG", "AI")]
COLUMNS = ["AD", "AG", "AI"]

JUDGES = """
import torch
from torch import nn

def net(seed, channels=6, classes=7):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, channels, 5, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(4 * channels, classes),
    )

def same():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 12, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 7),
    )

def other():
    return net(1)

def larger():
    return net(2)

def eight():
    return net(1, classes=8)

for build in (same, other, larger, eight):
    build.layer, build.input_size = "1", 40 if build is larger else 32
    build.mean, build.std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
"""


class Blind(nn.Module):
    """Always the same logits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 2, 4, 4), nn.Linear(2, CLASSES)
        nn.init.zeros_(self.fc.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv(x).relu().mean((2, 3)))


def items(n: int = 4) -> list[Item]:
    return [Item(str(i), f"digest {i}", image, i, None) for i, image in enumerate(photo(n))]


def clean(classifier: Classifier, subjects: list[Item]) -> torch.Tensor:
    return Scorer(classifier, 4).score([item.image[None] for item in subjects])


def rows_of(explained: Classifier, judge: Judge) -> list[dict]:
    return rows_in(ScoringContext(explained, protocol("clean+steps=3"), 0, 4, (judge,)), judge)


def rows_in(
    context: ScoringContext, judge: Judge, names: tuple[str, ...] = NAMES, text: str = "grad-cam"
) -> list[dict]:
    subjects, plain = items(), [METRICS[name].value for name in names]
    asked = [*plain, *map(judge.metric, plain)]
    source = ExplainerSource(EXPLAINERS.spec(text))
    return evaluate(context, source, subjects, clean(context.classifier, subjects), asked)[0]


def test_a_judge_equal_to_the_explained_network_gives_equal_columns():
    judge = Judge(toy_classifier("deep_head"), explained=toy_classifier("deep_head"))
    for row in rows_of(toy_classifier("deep_head"), judge):
        for name in NAMES:
            assert row[f"{name} (toy-deep_head) {judge.key}"] == row[name]
        assert np.array_equal(row[f"I (toy-deep_head) {judge.key}_vector"], row["I_vector"])


def test_a_judge_that_ignores_the_image_drops_and_gains_nothing():
    net = Classifier(Blind().eval(), name="blind", layer="conv", input_size=SIZE)
    explained = toy_classifier("deep_head")
    judge = Judge(net, explained)
    share = clean(net, items(1))[0].exp()
    for row in rows_of(explained, judge):
        assert [row[f"{name} (blind) {judge.key}"] for name in ("AD", "AG", "AI")] == [0, 0, 0]
        for name in ("I", "D"):
            assert row[f"{name} (blind) {judge.key}"] == pytest.approx(float(share[row["target"]]))


def test_the_judge_sees_the_masked_image_of_the_explained_network_and_its_class():
    """AD and AI of another network, by plain code, from the map to the number."""
    explained, net = toy_classifier("gap_linear"), toy_classifier("deep_head", seed=3)
    judge, images = Judge(net, explained), photo(4)
    raw = EXPLAINERS["grad-cam"].value.function(explained, images, explained.logits(images).argmax(1))
    up = torch.nn.functional.interpolate(raw.relu()[:, None], (SIZE, SIZE), mode="bilinear", align_corners=False)
    low, high = up.amin((1, 2, 3), keepdim=True), up.amax((1, 2, 3), keepdim=True)
    masked = images * (up - low) / (high - low)
    classes = explained.logits(images).argmax(1)
    assert (classes != net.logits(images).argmax(1)).any()
    for i, row in enumerate(rows_of(explained, judge)):
        p, o = (float(net.logits(x[i : i + 1]).double().softmax(1)[0, classes[i]]) for x in (images, masked))
        assert row["target"] == classes[i]
        assert row[f"AD (toy-deep_head) {judge.key}"] == pytest.approx(max(0, p - o) / p, abs=1e-5)
        assert row[f"AI (toy-deep_head) {judge.key}"] == float(o > p)


def test_the_judge_is_asked_once_for_every_image_and_once_for_every_masked_one():
    explained, judge = toy_classifier("gap_linear"), Judge(toy_classifier("deep_head"), toy_classifier("gap_linear"))
    context, names = ScoringContext(explained, protocol("clean"), 0, 4, (judge,)), ("AD", "AG", "AI")
    with judge.classifier.tally() as tally:
        rows_in(context, judge, names)
    assert (tally.forward, tally.backward) == (4 + 4, 0)
    with judge.classifier.tally() as tally, explained.tally() as own:
        rows_in(context, judge, names, "layer-cam")
    assert tally.forward == 4
    assert own.forward == 4 + 4 + 4  # clean images, maps, masked images


def test_judges_have_columns_of_their_own_and_other_metrics_keep_theirs():
    explained, average_drop = toy_classifier("gap_linear"), METRICS["AD"].value
    one, other = (Judge(toy_classifier("deep_head", seed=seed), explained) for seed in (1, 2))
    assert average_drop.tag == "AD@1"
    assert one.metric(average_drop).name == other.metric(average_drop).name == "AD (toy-deep_head)"
    assert len({metric.tag for metric in (average_drop, one.metric(average_drop), other.metric(average_drop))}) == 3
    assert one.key == Judge(toy_classifier("deep_head", seed=1), explained).key


def test_only_metrics_of_derived_images_can_be_judged():
    judge = Judge(toy_classifier("deep_head"), toy_classifier("gap_linear"))
    with pytest.raises(UsageError, match="SPARSE has none"):
        judge.metric(METRICS["SPARSE"].value)


def test_a_metric_of_a_judge_that_is_not_there_is_refused():
    explained, subjects = toy_classifier("gap_linear"), items()
    metric = Judge(toy_classifier("deep_head"), explained).metric(METRICS["AD"].value)
    context, source = ScoringContext(explained, protocol("clean"), 0, 4), ExplainerSource(EXPLAINERS.spec("grad-cam"))
    with pytest.raises(ValueError, match="another judge"):
        evaluate(context, source, subjects, clean(explained, subjects), [metric])


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for label in range(3):
        (root / f"class{label}").mkdir()
        for index in range(2):
            small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
            small.resize((48, 40), Image.Resampling.BICUBIC).save(root / f"class{label}" / f"{index}.png")
    return root


@pytest.fixture(scope="module")
def judges(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("judges") / "judges.py"
    path.write_text(JUDGES)
    return path


def command(photos: Path, out: Path, *extra: str) -> list[str]:
    return ["--model", TINY, "--data", "folder", "--data-root", str(photos), "--out", str(out), "--device", "cpu",
            "--methods", "grad-cam,layer-cam", "--batch-size", "4", "--metrics", "AD,AG,AI,I", "--no-controls",
            "--protocol", "clean+steps=3", *extra]  # fmt: skip


def table(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "leaderboard.csv").set_index("method")


def test_adding_a_judge_computes_its_columns_and_nothing_else(photos, judges, tmp_path, capsys):
    assert main(command(photos, tmp_path)) == 0
    before, plain = {path: path.read_bytes() for path in (tmp_path / "scores").iterdir()}, table(tmp_path)
    assert main(command(photos, tmp_path, "--judges", f"{judges}:other")) == 0
    assert {path: path.read_bytes() for path in before} == before
    new = pd.concat(pd.read_parquet(path) for path in (tmp_path / "scores").iterdir() if path not in before)
    assert {tag.split("@")[0].rpartition(" ")[0] for tags in new.have for tag in tags} == set(JUDGED)
    assert not {"AD", "AG", "AI", "I"} & set(new.columns)
    judged = table(tmp_path)
    pd.testing.assert_frame_equal(judged[["AD", "AG", "AI", "I"]], plain[["AD", "AG", "AI", "I"]])
    assert judged[JUDGED].notna().all(axis=None)
    assert (judged[JUDGED].to_numpy() != judged[COLUMNS].to_numpy()).any()
    assert set(JUDGED) <= set(pd.read_csv(tmp_path / "differences.csv").metric)
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["judges"] == f"{judges}:other"
    assert len(facts["judge weights sha256"]) == 64
    capsys.readouterr()
    assert main(command(photos, tmp_path, "--judges", f"{judges}:other")) == 0
    assert "everything asked for is stored already" in capsys.readouterr().out
    assert main(command(photos, tmp_path)) == 0
    (view,) = (tmp_path / "views").iterdir()  # the table with the judge's columns stays where it is
    pd.testing.assert_frame_equal(table(view), plain)


def test_the_explained_network_as_its_own_judge_repeats_the_columns(photos, judges, tmp_path):
    names = ["AD", "I"]
    assert main(command(photos, tmp_path, "--judges", f"{judges}:same", "--judged", "AD,I")) == 0
    frame = table(tmp_path)
    assert frame[[f"{name} (judges.py:same)" for name in names]].to_numpy() == pytest.approx(frame[names].to_numpy())


def test_judges_of_one_name_and_other_weights_never_mix(photos, judges, tmp_path):
    from safetensors.torch import save_file

    weights = tmp_path / "other.safetensors"
    save_file(load_file(judges).net(5).state_dict(), weights)
    given = ("--judges", f"{judges}:other", "--weights", f"{judges}:other={weights}")
    frames = []
    for out, extra in (("a", given[:2]), ("b", given), ("b", given[:2])):
        assert main(command(photos, tmp_path / out, *extra)) == 0
        frames.append(table(tmp_path / out))
    pd.testing.assert_frame_equal(frames[2], frames[0])
    assert not frames[1][JUDGED].equals(frames[0][JUDGED])
    pd.testing.assert_frame_equal(frames[1][COLUMNS], frames[0][COLUMNS])


def test_the_estimate_counts_the_judges_passes(photos, judges, tmp_path, capsys):
    assert main(command(photos, tmp_path, "--judges", f"{judges}:other")) == 0
    assert "4F to score" in capsys.readouterr().out  # one masked image for each network, two insertion steps


def test_judged_columns_are_ranked_like_any_metric(photos, judges, tmp_path, monkeypatch):
    from bench.run import carry_out as run

    boards: list[Leaderboard] = []
    real = run.leaderboard
    monkeypatch.setattr(run, "leaderboard", lambda *asked: boards.append(real(*asked)) or boards[-1])
    assert main(command(photos, tmp_path, "--judges", f"{judges}:other")) == 0
    found = {metric.name: (metric.better, metric.arrow, metric.rate) for metric in boards[0].metrics}
    assert [found[name] for name in JUDGED] == [found[name] for name in COLUMNS]
    assert any("mean rank over AD, AG, AI, I, " + ", ".join(JUDGED) in note for note in boards[0].notes)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--judges", "JUDGES:eight"], "has 8 classes"),
        (["--judges", "resnet5"], "did you mean 'resnet50'"),
        (["--judges", "JUDGES:other", "--judged", "AD,SPARSE"], "SPARSE has none"),
        (["--judges", "JUDGES:other", "--judged", "AE"], "unknown metric 'AE'"),
        (["--judges", "JUDGES:other", "--weights", "third=file.pth"], "names no file for"),
        (["--table", "opticam-classification", "--judges", "JUDGES:other", "--protocol", ""], "what --judges would"),
    ],
)
def test_a_judge_that_cannot_judge_is_one_line(photos, judges, tmp_path, capsys, extra, message):
    assert main([*command(photos, tmp_path), *(text.replace("JUDGES", str(judges)) for text in extra)]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert message in error
    assert "\n" not in error
