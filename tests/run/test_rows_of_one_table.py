"""Several layers and classes as rows of one table: the numbers and keys of a run at that layer, of that class."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

import methods  # noqa: F401 - registers
from bench.core.classifier import Classifier
from bench.core.dataset import Dataset
from bench.core.errors import Skip, UsageError
from bench.core.explainer import EXPLAINERS
from bench.run.select_sources import choose_sources
from bench.run.targets import targets_of
from bench.scoring.evaluate import choose_targets
from cambench import main
from tests.places import ASSETS
from tests.toys import SIZE, GapLinear, photo, toy_classifier

TINY = f"{ASSETS / 'tiny.py'}:build"
KEPT = ["key", "target", "p", "AD", "I"]


def run(out: Path, *flags: str) -> pd.DataFrame:
    """The rows of a run on two photographs, by label and image."""
    fixed = ["--model", TINY, "--limit", "2", "--metrics", "AD,I", "--device", "cpu", "--no-controls", "--out"]
    assert main([*fixed, str(out), *flags]) == 0
    wanted = pd.read_parquet(out / "rows.parquet")
    stored = pd.concat(pd.read_parquet(file) for file in (out / "scores").glob("*.parquet"))
    return wanted.merge(stored.drop(columns=["method", "image"]), on="key").set_index(["method", "image"])[KEPT]


def part(rows: pd.DataFrame, label: str) -> pd.DataFrame:
    return rows.loc[label].sort_index()


def test_layers_are_rows_with_the_keys_of_a_run_at_that_layer(tmp_path):
    both = run(tmp_path / "both", "--methods", "grad-cam,random,gradient", "--layer", "3,1")
    assert set(both.index.get_level_values(0)) == {"grad-cam(layer=3)", "grad-cam(layer=1)", "random", "gradient"}
    for layer in ("1", "3"):
        alone = run(tmp_path / layer, "--methods", "grad-cam", "--layer", layer)
        pd.testing.assert_frame_equal(part(both, f"grad-cam(layer={layer})"), part(alone, "grad-cam"))


def test_a_layer_of_a_spec_is_that_row_too(tmp_path):
    spec = run(tmp_path / "spec", "--methods", "grad-cam,score-cam(chunk=8,layer=1)")
    alone = run(tmp_path / "alone", "--methods", "score-cam(chunk=8)", "--layer", "1")
    pd.testing.assert_frame_equal(part(spec, "score-cam(chunk=8,layer=1)"), part(alone, "score-cam(chunk=8)"))


def test_classes_are_rows_with_the_keys_of_a_run_of_that_class(tmp_path):
    several = run(tmp_path / "several", "--methods", "grad-cam,random", "--target", "second,least,3")
    assert len(several) == 2 * 3 * 2
    for target, label in (("second", "second"), ("least", "least"), ("3", "class 3")):
        alone = run(tmp_path / label, "--methods", "grad-cam,random", "--target", target)
        for method in ("grad-cam", "random"):
            pd.testing.assert_frame_equal(part(several, f"{method}: {label}"), part(alone, method))


def test_times_of_all_classes_are_those_of_the_explainer(tmp_path):
    fixed = ["--model", TINY, "--limit", "2", "--metrics", "AD,T", "--device", "cpu", "--out", str(tmp_path)]
    assert main([*fixed, "--methods", "grad-cam", "--target", "top3", "--no-controls"]) == 0
    times = pd.read_csv(tmp_path / "timing.csv")
    assert set(times.method) == {"grad-cam: predicted", "grad-cam: second", "grad-cam: third"}
    assert times.groupby("batch").seconds.nunique().eq(1).all()
    assert len(list((tmp_path / "timing").glob("*.parquet"))) == 1


def test_likeliest_classes_in_order_by_hand():
    clean = torch.tensor([[0.1, 0.4, 0.2, 0.3], [0.25, 0.25, 0.5, 0.0]]).log()
    found = {target: choose_targets(clean, [], target).tolist() for target in ("predicted", "second", "third", "least")}
    assert found == {"predicted": [1, 2], "second": [3, 0], "third": [2, 1], "least": [0, 3]}


def unnamed() -> Classifier:
    return Classifier(GapLinear(), name="unnamed", layer="features.4", input_size=SIZE)


def test_classes_are_found_in_a_list_of_names_with_commas():
    net = unnamed()
    data = Dataset("x", (), ("tabby, tabby cat", "crane", "crane", "fox", "owl", "dog", "bat"))
    found = {text: [(t.choice, t.name) for t in targets_of(text, data, net)]
             for text in ("tabby, tabby cat", "fox,true,fox", "top3", "1,5")}  # fmt: skip
    assert found == {
        "tabby, tabby cat": [("0", "tabby")],
        "fox,true,fox": [("3", "fox"), ("true", "true")],
        "top3": [("predicted", "predicted"), ("second", "second"), ("third", "third")],
        "1,5": [("1", "class 1"), ("5", "dog")],
    }
    assert targets_of(None, data, net) == ()
    for text, says in (("fox,foxx", "did you mean 'fox'"), (",", "not a class"), ("crane", "names 2 classes")):
        with pytest.raises(UsageError, match=says):
            targets_of(text, data, net)


def test_a_class_without_a_name_is_called_by_its_index():
    assert [target.name for target in targets_of("2,least", Dataset("x", ()), unnamed())] == ["class 2", "least"]


@pytest.mark.parametrize("kind", ["gap_linear", "deep_head", "tokens", "residual_bypass"])
def test_a_cut_elsewhere_is_the_classifier_made_there(kind):
    layer = {"tokens": "blocks.0.norm1", "residual_bypass": "features.0"}.get(kind, "features.2")
    images, net, made = photo(3), toy_classifier(kind), toy_classifier(kind, layer=layer)
    cut = net.cut_at(layer)
    assert cut.layer == made.layer != net.layer
    assert torch.equal(cut.features(images), made.features(images))
    assert torch.equal(cut.head(*cut.trunk(images)), net.logits(images))
    assert (cut.linear is None) == (made.linear is None)
    assert net.cut_at(layer) is cut
    assert net.cut_at(net.layer) is net
    with net.tally() as tally:
        cut.trunk(images)
    assert tally.forward == 3
    with pytest.raises(UsageError, match="no layer 'nowhere'"):
        net.cut_at("nowhere")


ELSEWHERE = [entry.name for entry in EXPLAINERS if not entry.value.uses_layer]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_read_at_no_layer_is_the_same_at_every_layer(name):
    net, images, targets = toy_classifier("gap_linear"), photo(2), torch.tensor([0, 3])
    explainer, small = EXPLAINERS[name].value, {"steps": 2, "samples": 2, "window": 0.5, "stride": 0.25}
    keywords = {key: value for key, value in small.items() if key in EXPLAINERS[name].parameters}
    if explainer.seeded:
        keywords["seeds"] = torch.tensor([1, 2])
    if explainer.skip and (reason := explainer.skip(net)):
        pytest.skip(reason)
    try:
        maps = [explainer.function(at, images, targets, **keywords) for at in (net, net.cut_at("features.2"))]
    except Skip as skip:
        pytest.skip(str(skip))
    torch.testing.assert_close(maps[0], maps[1])


def test_layers_are_a_parameter_of_those_alone_that_are_read_at_one():
    assert {"gradient", "input-x-gradient", "integrated-gradients", "smoothgrad", "occlusion", "rise"} <= set(ELSEWHERE)
    assert not {"grad-cam", "opti-cam", "decoder"} & set(ELSEWHERE)
    (source,) = choose_sources("opti-cam(layer=features.2,steps=3)", controls=False)
    assert (source.label, source.spec.given) == ("opti-cam(layer=features.2,steps=3)", {"steps": 3})
    for text in ("gradient(layer=a)", "center(layer=a)"):
        with pytest.raises(UsageError, match="no parameter 'layer'"):
            choose_sources(text, controls=False)
    with pytest.raises(UsageError, match="write layer=PATH once"):
        choose_sources("grad-cam(layer=a,layer=b)", controls=False)
    with pytest.raises(UsageError, match="method 'grad-cam' has no parameter 'lair'"):
        choose_sources("grad-cam(lair=a)", controls=False)


def test_a_layer_that_is_not_there_is_one_line(tmp_path, capsys):
    flags = ["--model", TINY, "--limit", "1", "--device", "cpu", "--out", str(tmp_path)]
    for wrong in (["--layer", "3,nowhere"], ["--methods", "grad-cam(layer=nowhere)"]):
        assert main([*flags, *wrong]) == 2
        assert "no layer 'nowhere'" in capsys.readouterr().err.splitlines()[-1]
