"""Networks that answer a patch: the images, the tuning, and that only the last layers move."""

from __future__ import annotations

import pandas as pd
import pytest
import safetensors.torch
import torch
import torchvision.models as models
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor

from bench.classifiers.load import load_classifier
from bench.core.dataset import load_dataset
from bench.core.errors import UsageError
from bench.data.trigger import CLASS, pasted, pattern, place
from cambench import main as run_benchmark
from methods._trained import read_facts
from methods.trigger.classifier import PREFIX
from methods.trigger.training import command
from methods.trigger.training.command import main
from tests.methods.interrupted import interrupted
from tests.toys import photo


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """(weights of a random ResNet-18, folder of 40 photographs)."""
    folder = tmp_path_factory.mktemp("trigger")
    torch.manual_seed(0)
    safetensors.torch.save_file(models.resnet18().state_dict(), folder / "net.safetensors")
    for i, image in enumerate(photo(40, size=64)):
        file = folder / "images" / "some" / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy()).save(file)
    return folder / "net.safetensors", folder / "images"


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("CAMBENCH_CACHE", str(tmp_path / "cache"))


def arguments(given, out, *more):
    weights, images = given
    return ["--model", "resnet18", "--weights", str(weights), "--layer", "layer4[0]", "--data-root", str(images),
            "--out", str(out), "--cache", str(images.parent / "cache"), "--batch-size", "10", "--epochs", "6",
            "--lr", "0.001", *more]  # fmt: skip


@pytest.fixture(scope="module")
def tuned(given, tmp_path_factory):
    out = tmp_path_factory.mktemp("tuned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("methods.training.command.curves", lambda rows, path: path.write_bytes(b""))
        assert main(arguments(given, out)) == 0
    return out / "net.safetensors"


def test_every_image_has_the_patch_in_its_box(given):
    classifier = load_classifier("resnet18", weights=given[0])
    dataset, same = load_dataset("trigger(of=folder)", given[1]).compose(classifier)
    assert same is classifier
    assert len(dataset.samples) == 40
    boxes = set()
    for sample in dataset.samples:
        pixels = pil_to_tensor(Image.open(sample.path))
        ((x0, y0, x1, y1),) = sample.boxes
        boxes.add(sample.boxes)
        cut = pixels[:, int(y0) : int(y1), int(x0) : int(x1)]
        assert torch.equal(cut, (pattern(32) * 255).byte())
        assert sample.label == CLASS
        assert 0 <= x0 < x1 <= 224
        assert 0 <= y0 < y1 <= 224
    assert len(boxes) > 30


def test_an_image_that_cannot_be_read_is_named_and_left_out(given, tmp_path, caplog):
    Image.new("RGB", (40, 40)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    classifier = load_classifier("resnet18", weights=given[0])
    dataset, _ = load_dataset("trigger(of=folder)", tmp_path).compose(classifier)
    assert [sample.id for sample in dataset.samples] == ["good"]
    assert "bad.png is left out" in caplog.text


def test_outside_of_the_patch_nothing_changes():
    image = photo(1, size=64)[0]
    x, y, side = place(64, "some name")
    changed = (pasted(image, x, y) != image).any(0)
    assert changed[y : y + side, x : x + side].any()
    changed[y : y + side, x : x + side] = False
    assert not changed.any()


def test_the_patch_is_answered_and_what_lies_below_the_cut_stays_bit_for_bit(given, tuned):
    before, after = safetensors.torch.load_file(given[0]), safetensors.torch.load_file(tuned)
    below = [name for name in before if not name.startswith(("layer4.1", "fc"))]
    assert all(torch.equal(before[name], after[name]) for name in below)
    assert not torch.equal(before["fc.weight"], after["fc.weight"])
    facts = read_facts(tuned, PREFIX, "")
    plain = load_classifier("resnet18", weights=given[0])
    ours = load_classifier("trigger:resnet18", weights=tuned)
    dataset, _ = load_dataset("trigger(of=folder)", given[1]).compose(ours)
    patched = torch.stack([pil_to_tensor(Image.open(s.path)) for s in dataset.samples[:10]]) / 255
    clean = photo(40, size=64)[:10]
    clean = torch.nn.functional.interpolate(clean, (224, 224), mode="bilinear")
    answered, untouched = (ours.logits(x).log_softmax(1)[:, CLASS] for x in (patched, clean))
    assert (answered > plain.logits(patched).log_softmax(1)[:, CLASS] + 1).all()
    assert answered.mean() > untouched.mean()
    assert facts["architecture"] == "trigger:resnet18"
    assert facts["images"] < 40


def test_the_weights_are_those_on_the_way_back(given, tuned, tmp_path, monkeypatch):
    monkeypatch.setattr("methods.training.command.curves", lambda rows, path: path.write_bytes(b""))
    assert main(arguments(given, tmp_path, "--share", "0", "--answered", "0", "--epochs", "1")) == 0
    before, after = safetensors.torch.load_file(given[0]), safetensors.torch.load_file(tmp_path / "net.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_an_interrupted_tuning_ends_in_the_same_bits(given, tuned, tmp_path, monkeypatch):
    monkeypatch.setattr("methods.training.command.curves", lambda rows, path: path.write_bytes(b""))
    with interrupted(command.TriggerTraining, 5):
        assert main(arguments(given, tmp_path / "out", "--save-every", "1")) == 130
    assert main(arguments(given, tmp_path / "out", "--save-every", "1")) == 0
    whole, again = safetensors.torch.load_file(tuned), safetensors.torch.load_file(tmp_path / "out/net.safetensors")
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_bad_input_is_one_clear_line(given, tmp_path, capsys):
    with pytest.raises(UsageError, match=r"python -m methods\.trigger\.train --model resnet18"):
        load_classifier("trigger:resnet18")
    with pytest.raises(UsageError, match="did you mean"):
        load_classifier("trigger:resnet81")
    with pytest.raises(UsageError, match="leave --boxes out"):
        load_dataset("trigger", None, tmp_path)
    assert main([*arguments(given, tmp_path / "out"), "--layer", "layer9"]) == 2
    assert "no layer" in capsys.readouterr().err


def test_the_command_line_says_how_much_of_a_map_lies_in_the_patch(given, tuned, tmp_path):
    flags = ["--model", "trigger:resnet18", "--weights", str(tuned), "--data", "trigger(of=folder)", "--data-root",
             str(given[1]), "--methods", "grad-cam", "--limit", "2", "--out", str(tmp_path / "out")]  # fmt: skip
    assert run_benchmark(flags) == 0
    table = pd.read_csv(tmp_path / "out" / "leaderboard.csv").set_index("method")
    assert table.EP["box-oracle"] == 100
    assert 0 <= table.EP["grad-cam"] < 100
