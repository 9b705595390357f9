"""Scoring in another dtype or layout: what changes, what it may cost, and that it never mixes; the batch by trial."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench.classifiers.difull import cells_apart
from bench.core.classifier import Classifier
from bench.core.dataset import Sample
from bench.core.explainer import EXPLAINERS
from bench.core.metric import METRICS as METRICS_BY_NAME
from bench.core.net.precision import Precision
from bench.core.protocols import PROTOCOLS
from bench.core.seeds import content_hash
from bench.run import batch_size as batch
from bench.run import precision_budget as budget
from bench.run.keys import ContentKeys
from bench.run.request import Request
from bench.scoring.evaluate import ScoringContext, evaluate
from bench.scoring.normalise import normalise
from bench.scoring.scorer import Scorer
from bench.scoring.sources import ExplainerSource, Item
from cambench import main
from tests.places import ASSETS
from tests.toys import TOYS, photo, toy_classifier

TINY = f"{ASSETS / 'tiny.py'}:build"
LAST = Precision(channels_last=True)
LOW = [Precision(torch.bfloat16), Precision(torch.bfloat16, channels_last=True), Precision(torch.float16)]
METRICS = ("AD", "AG", "I", "D")


@pytest.mark.parametrize("kind", TOYS)
@pytest.mark.parametrize("precision", [LAST, *LOW], ids=str)
def test_only_scores_change_and_they_stay_near(kind, precision):
    net, images = toy_classifier(kind), photo(4)
    before = [(p.dtype, p.stride(), p.clone()) for p in net._net.parameters()]
    exact, maps, logits = net.score(images).log_softmax(1), net.features(images), net.logits(images)
    low = net.at(precision)
    scores = low.score(images)
    assert scores.dtype == torch.float32
    near = 1e-4 if precision == LAST else 0.15
    torch.testing.assert_close(scores.log_softmax(1), exact, rtol=0, atol=near)
    assert torch.equal(low.features(images), maps)
    assert torch.equal(low.logits(images), logits)
    assert torch.equal(net.score(images).log_softmax(1), exact)
    for parameter, (dtype, stride, old) in zip(net._net.parameters(), before, strict=True):
        assert (parameter.dtype, parameter.stride()) == (dtype, stride)
        assert torch.equal(parameter, old)


def test_all_layers_but_the_last_round():
    """conv, ReLU, pool, conv, ReLU, pool in bfloat16 by hand; the linear layer in float32."""
    net, images = toy_classifier(), photo(3)
    module = net._net
    x = net._normalise(images).bfloat16()
    for layer in module.features:
        if isinstance(layer, nn.Conv2d):
            x = F.conv2d(x, layer.weight.bfloat16(), layer.bias.bfloat16(), padding=1)
        else:
            x = layer(x)
    expected = module.fc(x.mean((2, 3)).float())
    assert torch.equal(net.at(Precision(torch.bfloat16)).score(images), expected)


def places(module: nn.Module) -> set[int]:
    return {tensor.data_ptr() for tensor in [*module.parameters(), *module.buffers()]}


def test_what_need_not_change_is_shared():
    net = toy_classifier("deep_head")
    own, linear = places(net._net), places(net._net.classifier)
    assert places(net._scoring_net) == own
    assert places(net.at(Precision())._scoring_net) == own
    assert linear < places(net.at(LAST)._scoring_net)
    assert places(net.at(LOW[0])._scoring_net) & own == places(net._net.classifier[-1])


def test_the_twin_counts_its_own_passes():
    net = toy_classifier()
    twin, images = net.at(LAST), photo(3)
    with net.tally() as own, twin.tally() as other:
        twin.score(images)
        twin.module(images)
    assert (own.forward, other.forward) == (0, 6)


@pytest.mark.slow
def test_compiled_scores_are_near():
    net, images = toy_classifier(), photo(4)
    twin = net.at(Precision(compiled=True))
    torch.testing.assert_close(twin.score(images), net.score(images), rtol=0, atol=1e-4)


def test_cells_of_a_mosaic_are_scored_at_the_precision():
    net, images = cells_apart(toy_classifier(), 2), photo(2)
    low = net.at(LOW[0]).score(images)
    assert not torch.equal(low, net.score(images))
    torch.testing.assert_close(low.log_softmax(1), net.score(images).log_softmax(1), rtol=0, atol=0.15)


def request(net: Classifier, protocol: str = "clean") -> Request:
    return Request(net, None, PROTOCOLS[protocol].value, (), (), Path())  # type: ignore[arg-type]


def test_keys_tell_precisions_apart_and_the_default_is_as_ever():
    net, source = toy_classifier(), ExplainerSource(EXPLAINERS.spec("grad-cam"))
    sample = Sample("0", Path("0.png"), 0, ())

    def key(classifier: Classifier) -> str:
        return ContentKeys(request(classifier)).score(source, sample, "x")

    own = key(net)
    assert len({own, *(key(net.at(p)) for p in (LAST, *LOW, Precision(compiled=True)))}) == 6
    assert key(net.at(Precision())) == own
    clean = ContentKeys(request(net)).clean("x")
    assert {ContentKeys(request(net.at(p))).clean("x") for p in (LAST, *LOW)} == {
        clean
    }  # always by the net's own precision
    assert clean == content_hash(
        "clean", "x", "toy-gap_linear", net.digest, 32, "bilinear", net.mean.tolist(), net.std.tolist(), torch.float32,
        "resize-crop", torch.__version__,
    )  # fmt: skip


def test_classes_are_chosen_by_the_nets_own_precision_and_values_are_of_one_precision(monkeypatch):
    """Here the low precision turns the order of all classes round."""
    net, images = toy_classifier(), photo(2)
    low = net.at(LOW[0])
    clean = Scorer(low.exact, 4).score([images])
    monkeypatch.setattr(low, "score", lambda x: -net.score(x))
    context, source = ScoringContext(low, PROTOCOLS["clean"].value, 0, 4), ExplainerSource(EXPLAINERS.spec("grad-cam"))
    items = [Item(str(i), str(i), image, None, None) for i, image in enumerate(images)]
    rows, _ = evaluate(context, source, items, clean, [METRICS_BY_NAME["AD"].value])
    maps, _ = normalise(EXPLAINERS["grad-cam"].value.function(net, images, clean.argmax(1)), 32, context.order(source))
    for i, row in enumerate(rows):
        target = int(net.logits(images)[i].argmax())
        assert row["target"] == target
        p, o = ((-net.logits(x[None])[0].double()).softmax(0)[target] for x in (images[i], images[i] * maps[i]))
        assert row["AD"] == pytest.approx(float((p - o).clamp(min=0) / p), abs=1e-5)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    from torchvision.utils import save_image

    root = tmp_path_factory.mktemp("photos")
    for index, image in enumerate(photo(6, 40)):
        (root / f"class{index}").mkdir()
        save_image(image, root / f"class{index}" / "0.png")
    return root


def command(photos: Path, out: Path, *extra: str) -> list[str]:
    return ["--model", TINY, "--data", "folder", "--data-root", str(photos), "--out", str(out), "--device", "cpu",
            "--methods", "grad-cam", "--no-controls", "--batch-size", "4", "--metrics", "AD,AG,AI,I,D",
            "--protocol", "clean+steps=4", *extra]  # fmt: skip


def rows(out: Path) -> pd.DataFrame:
    frame = pd.concat(pd.read_parquet(path) for path in sorted((out / "scores").glob("*.parquet")))
    return frame.set_index("image").sort_index()


def test_the_budget_is_what_the_rows_of_two_runs_differ_by(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(budget, "ROUNDED", 100.0)
    assert main(command(photos, tmp_path / "own", "--limit", "4")) == 0
    assert "error budget" not in json.loads((tmp_path / "own" / "run.json").read_text())
    low = command(photos, tmp_path / "low", "--limit", "4", "--dtype", "bfloat16")
    assert main(low) == 0
    stated = json.loads((tmp_path / "low" / "run.json").read_text())
    own, other, found = rows(tmp_path / "own"), rows(tmp_path / "low"), stated["error budget"]
    assert stated["scored in"] == found["precision"] == "bfloat16"
    for name in METRICS:
        assert found["changes"][name] == pytest.approx(100 * np.abs(own[name] - other[name]).max(), rel=1e-9)
        assert found["shifts"][name] == pytest.approx(100 * abs(own[name].mean() - other[name].mean()), abs=1e-9)
    assert all(found["changes"][name] > 0 for name in ("I", "D"))
    assert (own.target == other.target).all()
    assert (own.p == other.p).all()
    assert found["flips"]["AI"] == (own.AI != other.AI).sum()
    assert set(own.key) & set(other.key) == set()
    line = (
        "scored in bfloat16; largest change of an image's value (and of the mean) against float32 on 4 images with "
        "grad-cam, in points: AD "
    )
    text = " ".join((tmp_path / "low" / "leaderboard.md").read_text().split())
    assert line in text
    assert line in capsys.readouterr().out

    monkeypatch.setattr(budget, "measured", None)  # the same command reads it from the store
    assert main(low) == 0
    assert main([*low, "--stored"]) == 0
    assert json.loads((tmp_path / "low" / "run.json").read_text())["error budget"] == found


def test_above_its_tolerance_a_switch_is_refused_with_the_figures(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(budget, "ROUNDED", 1e-6)
    assert main(command(photos, tmp_path, "--dtype", "bfloat16", "--channels-last")) == 2
    error = capsys.readouterr().err
    assert "error: the error budget is exceeded: scored in bfloat16-channels-last; largest change of" in error
    assert "(tolerance of a mean: 1e-06); leave out --dtype bfloat16 --channels-last or take --dtype float16" in error
    assert not (tmp_path / "scores").exists()


def test_a_layout_alone_keeps_to_a_hundredth_of_a_point(photos, tmp_path):
    assert main(command(photos, tmp_path, "--channels-last")) == 0
    found = json.loads((tmp_path / "run.json").read_text())["error budget"]
    assert found["tolerance"] == 0.01
    assert max(found["changes"].values()) < 1e-3


class Spectral(nn.Module):
    """An operation that no half precision has on a CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 7)

    def forward(self, x):
        return self.fc(torch.linalg.inv(self.conv(x)[..., :4, :4] + 9 * torch.eye(4)).mean((2, 3)))


def test_a_net_that_lacks_the_dtype_is_told_in_one_line(photos, tmp_path, capsys):
    (tmp_path / "net.py").write_text(
        "import torch\nfrom tests.core.test_precision import Spectral\n\ndef build():\n    return Spectral()\n\n"
        "build.layer, build.input_size = 'conv', 32\n"
    )
    low = command(photos, tmp_path / "out", "--dtype", "float16")
    low[1] = f"{tmp_path / 'net.py'}:build"
    assert main(low) == 2
    error = capsys.readouterr().err
    assert "cannot be scored in float16 on cpu (" in error
    assert error.endswith("leave out --dtype float16\n")


def trial(monkeypatch, speeds: dict[int, float], most: int = 10**9) -> None:
    """Throughput by batch, and out of memory above `most` images where there are gradients; 0 is out of memory."""

    def forward(net, size):
        if not speeds[size]:
            raise torch.OutOfMemoryError
        return size / speeds[size]

    def backward(net, size):
        if size > most:
            raise MemoryError

    monkeypatch.setattr(batch, "forward_seconds", forward)
    monkeypatch.setattr(batch, "gradient", backward)
    monkeypatch.setattr(batch, "CPU_MOST", 256)


@pytest.mark.parametrize(
    ("speeds", "images", "most", "expected"),
    [
        ({8: 10, 16: 15, 32: 20, 64: 20.5}, 1000, 1000, 32),  # 2.5 % more is not worth twice the memory
        ({8: 10, 16: 15, 32: 0}, 1000, 1000, 16),
        ({8: 10, 16: 15, 32: 0}, 1000, 5, 4),
        ({8: 0}, 1000, 3, 2),
        ({8: 10, 12: 15}, 12, 1000, 12),
        ({3: 10}, 3, 1000, 3),
    ],
)
def test_the_fastest_batch_that_fits(monkeypatch, speeds, images, most, expected):
    trial(monkeypatch, speeds, most)
    assert batch.find_batch(toy_classifier(), images) == expected


def test_not_even_one_image_fits(monkeypatch):
    trial(monkeypatch, {8: 0}, most=0)
    with pytest.raises(MemoryError):
        batch.find_batch(toy_classifier(), 100)


def test_a_trial_runs_the_classifier_as_it_is():
    net = toy_classifier().at(LAST)
    with net.tally() as tally:
        assert batch.forward_seconds(net, 5) > 0
        batch.gradient(net, 3)
    assert (tally.forward, tally.backward) == (18, 3)


def test_the_batch_found_is_the_runs_and_moves_nothing(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.run.build_request.find_batch", lambda net, images: images // 2)
    assert main(command(photos, tmp_path / "auto", "--batch-size", "auto")) == 0
    assert main(command(photos, tmp_path / "four")) == 0
    assert json.loads((tmp_path / "auto" / "run.json").read_text())["batch shape"] == "3x3x32x32"
    auto, four = rows(tmp_path / "auto"), rows(tmp_path / "four")
    assert set(auto.batch) == {3}
    for name in METRICS:
        np.testing.assert_allclose(auto[name], four[name], rtol=0, atol=1e-5)


def test_a_batch_that_is_no_number_is_refused(photos, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(command(photos, tmp_path, "--batch-size", "many"))
    assert "--batch-size" in capsys.readouterr().err
