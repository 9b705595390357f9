"""Denoised gradients: the loss by hand and by finite differences, and the training."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from captum.attr import GuidedBackprop
from PIL import Image
from torch import nn

from bench.classifiers.load import load_classifier
from bench.core.dataset import load_dataset
from bench.core.errors import UsageError
from bench.core.explainer import EXPLAINERS
from bench.core.seeds import forked_rng, seed_for
from methods._trained import read_facts
from methods.denoise.loss import ERRORS, gradients, guided
from methods.denoise.nets import NETS
from methods.denoise.training import command
from methods.denoise.training.command import main
from methods.training.loop import CLIP
from methods.training.photographs import Photographs, batches, collate, split
from methods.training.schedules import one_cycle
from tests.methods.interrupted import interrupted
from tests.toys import photo


def toy(seed: int = 0) -> nn.Module:
    with forked_rng(seed):
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, 2), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(36, 3)
        ).double()  # fmt: skip


def images(n: int = 3) -> torch.Tensor:
    return photo(n, size=9).double()


LABELS = torch.tensor([0, 2, 1])


def test_the_target_is_guided_backpropagation_and_the_own_gradient_is_plain():
    net, x = toy(), images()
    losses, own, wanted = gradients(net, x, LABELS)
    torch.testing.assert_close(losses, F.cross_entropy(net(x), LABELS, reduction="none"))
    plain = x.clone().requires_grad_(True)
    F.cross_entropy(net(plain), LABELS, reduction="sum").backward()
    torch.testing.assert_close(own.detach(), plain.grad)

    assert not wanted.requires_grad
    assert not torch.allclose(wanted, own)
    torch.testing.assert_close(wanted, guided_by_hand(net, x))


def guided_by_hand(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The way back layer by layer."""
    conv1, _, conv2, _, _, linear = net
    a = conv1(x)
    b = conv2(a.relu())
    logits = linear(b.relu().flatten(1))
    g = logits.softmax(1) - F.one_hot(LABELS, 3)
    g = (g @ linear.weight).reshape_as(b)
    g = g.clamp(min=0) * (b > 0)
    g = F.conv_transpose2d(g, conv2.weight, stride=2)
    g = g.clamp(min=0) * (a > 0)
    return F.conv_transpose2d(g, conv1.weight).detach()


def test_guided_gradients_of_a_score_are_captums():
    net, x = toy(), images()
    leaf = x.clone().requires_grad_(True)
    with guided(net) as guide:
        scores = net(leaf)[range(3), LABELS]
        guide.on = True
        (ours,) = torch.autograd.grad(scores.sum(), leaf)
    other = nn.Sequential(*(nn.ReLU() if isinstance(m, nn.ReLU) else m for m in net))
    torch.testing.assert_close(ours, GuidedBackprop(other).attribute(leaf, target=LABELS))
    assert not any(module._forward_hooks for module in net.modules())


@pytest.mark.parametrize("name", list(ERRORS))
def test_the_gradient_through_the_gradient_is_that_of_finite_differences(name):
    """The target is detached: it keeps its value while the weights move."""
    net, x = toy(3), images()
    _, own, wanted = gradients(net, x, LABELS)
    net.zero_grad()
    ERRORS[name](own, wanted).sum().backward()
    for parameter in (net[0].weight, net[2].weight, net[5].weight):
        found = parameter.grad.flatten()
        for at in (0, 7, len(found) - 1):
            step, values = 1e-6, []
            for sign in (1, -1):
                with torch.no_grad():
                    parameter.view(-1)[at] += sign * step
                values.append(ERRORS[name](gradients(net, x, LABELS)[1], wanted).sum().item())
                with torch.no_grad():
                    parameter.view(-1)[at] -= sign * step
            wanted_slope = (values[0] - values[1]) / (2 * step)
            assert found[at].item() == pytest.approx(wanted_slope, rel=1e-4, abs=1e-7)


def test_errors_by_hand():
    a, b = torch.tensor([[[[3.0, -1.0]]]]), torch.tensor([[[[1.0, 1.0]]]])
    assert ERRORS["cosine"](a, b).item() == pytest.approx(1 - 2 / math.sqrt(20))
    assert ERRORS["mae"](a, b).item() == 2
    assert ERRORS["mse"](a, b).item() == 4
    assert ERRORS["histogram"](a, b).item() == pytest.approx(0.25)
    assert all(error(a, a).item() == pytest.approx(0, abs=1e-6) for error in ERRORS.values())


@pytest.mark.parametrize(("name", "shape"), [("resnet8", (64, 8, 8)), ("resnet20", (64, 8, 8)),
                                             ("resnet18", (512, 4, 4)), ("mobilenet_v2", (1280, 4, 4))])  # fmt: skip
def test_networks_keep_enough_resolution_of_small_images(name, shape):
    make, layer = NETS[name]
    net = make(10).eval()
    found = []
    net.get_submodule(layer).register_forward_hook(lambda module, inputs, output: found.append(output.shape[1:]))
    assert net(torch.rand(2, 3, 32, 32)).shape == (2, 10)
    assert tuple(found[0]) == shape


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """60 images of two classes, of 40 × 40 and 48 × 48 pixels."""
    root = tmp_path_factory.mktemp("denoise") / "images"
    for i in range(60):
        image = photo(1, size=40 + 8 * (i % 3 == 0), seed=i)[0]
        file = root / "ab"[i % 2] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = (image * (1 if i % 2 == 0 else 0.3) * 255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(file)
    return root


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr("methods.training.command.curves", lambda rows, path: path.write_bytes(b""))


def run(folder, out, *more):
    arguments = ["--model", "resnet8", "--data-root", str(folder), "--out", str(out), "--batch-size", "18",
                 "--epochs", "3", "--lr", "0.05", "--schedule", "one-cycle"]  # fmt: skip
    return main([*arguments, *more])


def state(out):
    return safetensors.torch.load_file(out / "net.safetensors")


def test_without_weight_it_is_plain_training_bit_for_bit(folder, tmp_path):
    """A loop of three lines over the same batches."""
    assert run(folder, tmp_path / "ours", "--weight", "0", "--no-augment") == 0
    dataset = load_dataset("folder", folder)
    photographs = Photographs(dataset, 32, "bilinear", labelled=True)
    with forked_rng(seed_for(0, "net")):
        net = NETS["resnet8"][0](2)
    net.train()
    optimiser = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9, weight_decay=5e-4)
    mean, std = (torch.tensor(values)[:, None, None] for values in (command.MEAN, command.STD))
    order = [batch for epoch in range(3) for batch in batches(dataset, split(dataset)[0], 18, 0, epoch)]
    for step, tickets in enumerate(order):
        batch = collate(photographs[ticket] for ticket in tickets)
        optimiser.param_groups[0]["lr"] = 0.05 * one_cycle(step, len(order) // 3, 3)
        optimiser.zero_grad()
        x = (batch["images"].float() / 255).contiguous(memory_format=torch.channels_last)
        F.cross_entropy(net((x - mean) / std), batch["labels"], reduction="none").sum().div(len(x)).backward()
        nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        optimiser.step()
    ours, plain = state(tmp_path / "ours"), net.state_dict()
    assert all(torch.equal(ours[name], plain[name]) for name in plain)


def test_the_weight_brings_the_gradients_together(folder, tmp_path):
    rows = {}
    for weight in ("0", "1"):
        assert run(folder, tmp_path / weight, "--weight", weight, "--epochs", "6") == 0
        header, *_, last = (tmp_path / weight / "log.csv").read_text().splitlines()
        rows[weight] = dict(zip(header.split(","), map(float, last.split(",")), strict=True))
    assert rows["1"]["val_cosine"] < rows["0"]["val_cosine"]
    assert "denoise" not in rows["0"]


def test_an_interrupted_training_ends_in_the_same_bits(folder, tmp_path):
    assert run(folder, tmp_path / "whole") == 0
    with interrupted(command.DenoisedTraining, 5):
        assert run(folder, tmp_path / "parts", "--save-every", "1") == 130
    assert run(folder, tmp_path / "parts", "--save-every", "1") == 0
    whole, again = state(tmp_path / "whole"), state(tmp_path / "parts")
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_the_result_is_a_classifier_that_knows_its_images(folder, tmp_path):
    assert run(folder, tmp_path) == 0
    classifier = load_classifier(f"denoise:{tmp_path / 'net.safetensors'}")
    assert classifier.classes == ("a", "b")
    assert (classifier.input_size, classifier.layer) == (32, "layer3.0")
    x = photo(4, size=32)
    torch.testing.assert_close(classifier.logits(x)[:1], classifier.logits(x[:1]), rtol=1e-4, atol=1e-5)
    for name in ("grad-cam", "guided-grad-cam", "smooth-grad"):
        if name in {entry.name for entry in EXPLAINERS}:
            extra = {"seeds": torch.arange(4)} if EXPLAINERS[name].value.seeded else {}
            maps = EXPLAINERS[name].value.function(classifier, x, torch.tensor([0, 1, 0, 1]), **extra)
            assert maps.isfinite().all()
    assert read_facts(tmp_path / "net.safetensors", "denoise:", "")["recipe"]["weight"] == 7.5e-3


def test_bad_input_is_one_clear_line(folder, tmp_path, capsys):
    one = tmp_path / "one"
    one.mkdir()
    (one / "a").symlink_to(folder / "a")
    assert run(one, tmp_path / "out") == 2
    assert "one class" in capsys.readouterr().err.splitlines()[-1]
    two = tmp_path / "two"
    two.mkdir()
    (two / "a").symlink_to(folder / "a")
    (two / "b").symlink_to(folder / "b")
    (two / "c").mkdir()
    assert run(two, tmp_path / "out") == 2
    assert "no image of c" in capsys.readouterr().err.splitlines()[-1]
    with pytest.raises(UsageError, match=r"no such file: .*python -m methods\.denoise\.train"):
        load_classifier("denoise:nowhere.safetensors")
    other = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(1)}, other)
    with pytest.raises(UsageError, match="expected denoise:"):
        load_classifier(f"denoise:{other}")


@pytest.mark.parametrize(("kind", "weight"), [("plain", 0), ("denoised", 0.0075)])
def test_what_is_shipped_is_a_classifier_that_says_how_it_came_about(kind, weight):
    file = Path(__file__).parents[2] / f"results/published/trained_networks/resnet8-cifar10-{kind}.safetensors"
    classifier = load_classifier(f"denoise:{file}")
    assert (classifier.num_classes, classifier.input_size) == (10, 32)
    facts = read_facts(file, "", "")
    assert facts["recipe"]["weight"] == weight
    assert (facts["steps"], facts["images"]) == (568, 9021)
