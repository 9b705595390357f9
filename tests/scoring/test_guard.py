"""The contract during a run: code that changes something is ended, all is put back, its neighbours' rows are clean."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from torch import nn

from bench.core.classifier import Classifier, state_digest
from bench.core.explainer import EXPLAINERS
from bench.core.metric import METRICS
from bench.scoring.guard import Changed, Guard
from cambench import main
from tests.run.test_run import TINY
from tests.toys import SIZE, toy_classifier


def first(net: Classifier) -> torch.Tensor:
    return next(net._net.parameters())


def through_data(net: Classifier) -> None:
    first(net).data.mul_(0.5)


def in_place(net: Classifier) -> None:
    with torch.no_grad():
        first(net).add_(1)


def replaced(net: Classifier) -> None:
    net._net.fc = nn.Linear(net._net.fc.in_features, 7)


def hooked(net: Classifier) -> None:
    net.module.tap.register_forward_hook(lambda module, inputs, output: output * 0)


def training(net: Classifier) -> None:
    net._net.train()


def gradients(net: Classifier) -> None:
    for parameter in net._net.parameters():
        parameter.requires_grad_()
    net.logits(torch.rand(1, 3, SIZE, SIZE)).sum().backward()


def another_forward(net: Classifier) -> None:
    net._net.forward = lambda x: x.mean((2, 3))


def another_mean(net: Classifier) -> None:
    net._shift = net._shift + 1


def no_gradients(net: Classifier) -> None:
    torch.set_grad_enabled(False)


def another_dtype(net: Classifier) -> None:
    torch.set_default_dtype(torch.float64)


CHANGES = (through_data, in_place, replaced, hooked, training, gradients, another_forward, another_mean, no_gradients,
           another_dtype)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_seen_and_put_back(change):
    net, images = toy_classifier("gap_linear"), torch.rand(2, 3, SIZE, SIZE)
    guard, digest = Guard(net), state_digest(net._net)
    expected = net.logits(images)
    guard.check(deep=True)
    change(net)
    with pytest.raises(Changed, match="put back"):
        guard.check(deep=True)
    assert state_digest(net._net) == digest
    assert torch.equal(net.logits(images), expected)
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in net._net.parameters())
    guard.check(deep=True)  # once told, no more


def test_what_is_put_back_by_its_own_author_is_fine():
    net = toy_classifier("gap_linear")
    guard = Guard(net)
    with net.randomised(0):
        pass
    guard.check()
    guard.check(deep=True)


def test_an_image_that_is_written_to_is_put_back():
    net, image = toy_classifier("gap_linear"), torch.rand(3, SIZE, SIZE)
    guard, before = Guard(net), image.clone()
    guard.watch([image])
    image[0].zero_()
    with pytest.raises(Changed, match="an image"):
        guard.check()
    assert torch.equal(image, before)


PLUGIN = """
import torch
from cambench import explainer, metric

def bright(images):
    return images.mean(1)

@explainer("thief", paper="t")
def thief(classifier, images, targets):
    next(iter(classifier._net.parameters())).data.mul_(0.5)
    return bright(images)

@explainer("hooks", paper="t")
def hooks(classifier, images, targets):
    classifier.module.tap.register_forward_hook(lambda m, i, o: o * 0)
    raise ValueError("raised after it left a hook")

@explainer("exits", paper="t")
def exits(classifier, images, targets):
    raise SystemExit(3)

@explainer("interrupts", paper="t")
def interrupts(classifier, images, targets):
    raise KeyboardInterrupt

def boom(*given, **more):
    raise ValueError("boom")

@explainer("cannot-say-if", paper="t", skip=boom)
def cannot_say_if(classifier, images, targets):
    return bright(images)

@explainer("cannot-say-cost", paper="t", passes=boom)
def cannot_say_cost(classifier, images, targets):
    return bright(images)

@explainer("cannot-say-training", paper="t", learned=boom)
def cannot_say_training(classifier, images, targets):
    return bright(images)

@explainer("never-alone", paper="t", padded=False)
def never_alone(classifier, images, targets):
    if len(images) == 1:
        raise ValueError("one image only")
    return bright(images)

@metric("RAISES", kind="map", better="higher", title="raises", paper="t")
def raises(case):
    raise RuntimeError("no number")

def two_channels(case):
    yield case.image[None, :2]

@metric("PROBES", kind="score", better="higher", title="probes badly", paper="t", derive=two_channels)
def probes(scores):
    return 1.0

@metric("WRITES", kind="map", better="higher", title="writes to the image", paper="t")
def writes(case):
    case.image.mul_(0.5)
    return 1.0
"""
BAD = {
    "thief": "changed the values of",
    "hooks": "raised after it left a hook",
    "exits": "SystemExit: 3",
    "interrupts": "KeyboardInterrupt",
    "cannot-say-if": "boom",
    "cannot-say-cost": "boom",
    "cannot-say-training": "boom",
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    from PIL import Image

    root = tmp_path_factory.mktemp("photos")
    for i in range(4):
        noise = torch.randint(0, 256, (8, 8, 3), generator=torch.Generator().manual_seed(i), dtype=torch.uint8)
        Image.fromarray(noise.numpy()).resize((40, 40)).save(root / f"{i}.png")
    return root


def command(photos, out, *extra: str) -> list[str]:
    return ["--model", TINY, "--data", "folder", "--data-root", str(photos), "--no-controls", "--device", "cpu",
            "--batch-size", "2", "--protocol", "clean+steps=4", "--out", str(out), *extra]  # fmt: skip


def test_bad_neighbours_end_alone(photos, tmp_path, capsys, monkeypatch):
    """Their rows are failed with a reason, and the good row is what it is in a run of its own."""
    for registry in (EXPLAINERS, METRICS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    (tmp_path / "bad.py").write_text(PLUGIN)
    alone, among = tmp_path / "alone", tmp_path / "among"
    assert main(command(photos, alone, "--methods", "gradient", "--metrics", "AD,I")) == 0
    methods = ",".join([*BAD, "never-alone", "gradient"])
    asked = ["--plugin", str(tmp_path / "bad.py"), "--methods", methods, "--metrics", "RAISES,PROBES,WRITES,AD,I,T"]
    assert main(command(photos, among, *asked)) == 1
    frames = [pd.read_csv(out / "leaderboard.csv").set_index("method") for out in (alone, among)]
    for name, why in BAD.items():
        assert frames[1].loc[name, "status"] == "failed", name
        assert why in frames[1].loc[name, "reason"]
    for column in ("AD", "I"):
        assert frames[1].loc["gradient", column] == frames[0].loc["gradient", column]
    assert frames[1].loc["gradient", "T_s"] > 0
    assert pd.isna(frames[1].loc["never-alone", "T_s"])
    text = (among / "leaderboard.md").read_text()
    for told in ("RAISES failed for", "PROBES failed for", "WRITES failed for", "T failed for never-alone: ValueError"):
        assert told in text, told
    assert "Traceback" not in capsys.readouterr().err


PAINTS = """
from cambench import explainer
@explainer("paints", paper="t")
def paints(classifier, images, targets):
    return images.mean(1){sign}
"""


def test_an_edited_plugin_is_computed_again_and_never_mixed(photos, tmp_path):
    """In processes of their own, as a user edits between two commands."""
    import subprocess
    import sys

    from tests.run.test_run import ROOT

    out, plugin = tmp_path / "out", tmp_path / "mine.py"
    asked = command(photos, out, "--plugin", str(plugin), "--methods", "paints", "--metrics", "I", "--no-report")
    values = []
    for sign in ("", " * -1", ""):
        plugin.write_text(PAINTS.format(sign=sign))
        subprocess.run([sys.executable, ROOT / "run_benchmark.py", *asked], check=True, capture_output=True)
        values.append(pd.read_csv(out / "leaderboard.csv").I[0])
    assert values[0] == values[2] != values[1]
    assert len(list((out / "scores").glob("*.parquet"))) == 4  # two chunks, two versions of the code
