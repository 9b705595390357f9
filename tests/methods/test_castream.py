"""CA-Stream: the block by hand, the paper's parameter counts, and a training that leaves the network as it is."""

from __future__ import annotations

import json
import math

import pytest
import safetensors.torch
import torch
import torchvision.models as models
from PIL import Image
from safetensors import safe_open
from torch import nn

from bench.classifiers.load import load_classifier
from bench.core.errors import UsageError
from bench.core.explainer import EXPLAINERS
from cambench import main as run_benchmark
from methods._trained import read_facts as facts_of
from methods.castream import stream_parameters
from methods.castream.architecture import CrossAttention, Stream, StreamedNet, check_chain
from methods.castream.classifier import PREFIX
from methods.castream.training import command
from methods.castream.training.command import main
from tests.methods.interrupted import interrupted
from tests.toys import photo

CLASSES = (0, 217)
SYNSETS = {0: "n01440764", 217: "n02102040"}


@pytest.mark.parametrize(
    ("name", "count"),
    [("resnet18", 439_808), ("resnet50", 6_969_152), ("convnext_small", 979_104), ("convnext_base", 1_739_648)],
)
def test_the_stream_has_the_papers_number_of_parameters(name, count):
    assert stream_parameters(name) == count


def test_a_block_is_attention_written_out():
    block = CrossAttention(6, 4).double()
    q, maps = torch.randn(2, 6, dtype=torch.double), torch.randn(2, 6, 3, 5, dtype=torch.double)
    keys = maps.reshape(2, 6, 15)
    attention = torch.softmax(torch.einsum("bd,bdp->bp", q, keys) / math.sqrt(6), 1)
    wanted = torch.einsum("bp,bdp,ed->be", attention, keys, block.linear.weight) + block.linear.bias
    torch.testing.assert_close(block(q, maps), wanted, rtol=1e-12, atol=1e-12)


def test_a_query_of_zeros_is_mean_pooling():
    stream = Stream([5]).double()
    with torch.no_grad():
        stream.token.zero_()
        stream.blocks[0].linear.weight.copy_(torch.eye(5))
        stream.blocks[0].linear.bias.zero_()
    maps = torch.randn(3, 5, 4, 4, dtype=torch.double)
    torch.testing.assert_close(stream([maps]), maps.mean((2, 3)))


def test_a_query_that_knows_its_position_reads_it_alone():
    stream = Stream([5]).double()
    with torch.no_grad():
        stream.token.copy_(torch.tensor([1e4, 0, 0, 0, 0]))
        stream.blocks[0].linear.weight.copy_(torch.eye(5))
        stream.blocks[0].linear.bias.zero_()
    maps = torch.rand(1, 5, 4, 4, dtype=torch.double)
    maps[0, 0, 2, 1] = 9
    torch.testing.assert_close(stream([maps]), maps[:, :, 2, 1])


def test_stages_that_are_no_parts_of_the_chain_are_refused():
    with pytest.raises(UsageError, match="must be among conv1, .*layer4"):
        StreamedNet(models.resnet18(), ["layer9"])


def test_a_network_that_is_no_chain_is_refused():
    class Forked(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.fc = nn.Conv2d(3, 4, 3, 2), nn.Linear(4, 3)

        def forward(self, x):
            return self.fc(self.stem(x).amax((2, 3)))

    with pytest.raises(UsageError, match="no chain"):
        check_chain(StreamedNet(Forked(), ["stem"]).eval(), 32)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """(weights of a random ResNet-18, folder of 40 photographs of two classes)."""
    folder = tmp_path_factory.mktemp("castream")
    torch.manual_seed(0)
    safetensors.torch.save_file(models.resnet18().state_dict(), folder / "net.safetensors")
    for i, image in enumerate(photo(40, size=64)):
        file = folder / "images" / SYNSETS[CLASSES[i % 2]] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = (image * (1 if i % 2 == 0 else 0.3) * 255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(file)
    return folder / "net.safetensors", folder / "images"


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr("methods.training.command.curves", lambda rows, path: path.write_bytes(b""))


def arguments(given, out, *more):
    weights, images = given
    return ["--model", "resnet18", "--weights", str(weights), "--data-root", str(images), "--out", str(out),
            "--cache", str(images.parent / "cache"), "--no-augment", "--batch-size", "10", "--epochs", "4",
            "--lr", "0.01", *more]  # fmt: skip


@pytest.fixture(scope="module")
def trained(given, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("methods.training.command.curves", lambda rows, path: path.write_bytes(b""))
        assert main(arguments(given, out)) == 0
    return out / "net.safetensors"


def read_facts(file):
    return facts_of(file, PREFIX, "")


def tensors(file):
    with safe_open(file, "pt") as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping


def test_the_network_below_stays_bit_for_bit(given, trained):
    before, after = tensors(given[0]), tensors(trained)
    assert {name.removeprefix("net.") for name in after if name.startswith("net.")} == set(before)
    assert all(torch.equal(tensor, after[f"net.{name}"]) for name, tensor in before.items())
    facts = read_facts(trained)
    assert facts["architecture"] == "castream:resnet18"
    assert facts["recipe"]["lr"] == 0.01


def test_the_stream_learns(trained):
    rows = (trained.parent / "log.csv").read_text().splitlines()
    column = rows[0].split(",").index("classify")
    losses = [float(row.split(",")[column]) for row in rows[1:]]
    assert losses[-1] < 0.5 * losses[0]


def test_an_interrupted_training_ends_in_the_same_bits(given, trained, tmp_path):
    with interrupted(command.StreamTraining, 7):
        assert main(arguments(given, tmp_path, "--save-every", "1")) == 130
    assert main(arguments(given, tmp_path, "--save-every", "1")) == 0
    whole, again = tensors(trained), tensors(tmp_path / "net.safetensors")
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_out_of_memory_halves_the_batch_and_changes_little(given, trained, tmp_path, monkeypatch):
    own = command.StreamTraining.backward

    def small(self, part, count):
        if len(part["index"]) > 5:
            raise MemoryError
        return own(self, part, count)

    monkeypatch.setattr(command.StreamTraining, "backward", small)
    assert main(arguments(given, tmp_path)) == 0
    whole, again = tensors(trained), tensors(tmp_path / "net.safetensors")
    torch.testing.assert_close(whole, again, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("more", [("--augment",), ("--augment", "--recipe", "convnext", "--lr", "0.001")])
def test_both_recipes_train_on_augmented_images(given, tmp_path, more):
    arguments_ = [a for a in arguments(given, tmp_path, *more, "--epochs", "1") if a != "--no-augment"]
    assert main(arguments_) == 0
    facts = read_facts(tmp_path / "net.safetensors")
    assert facts["recipe"]["optimiser"] == ("adamw" if "convnext" in more else "sgd")


def test_the_trained_network_is_a_classifier_whose_gradient_passes_the_stream(given, trained):
    ours = load_classifier("castream:resnet18", weights=trained)
    plain = load_classifier("resnet18", weights=given[0])
    images, targets = photo(2, size=224), torch.tensor(CLASSES)
    assert ours.layer == "net.layer4.1"
    assert ours.parameters - plain.parameters == 439_808
    assert torch.equal(ours.features(images), plain.features(images))
    assert not torch.allclose(ours.logits(images), plain.logits(images))
    own, theirs = (EXPLAINERS["grad-cam"].value.function(c, images, targets) for c in (ours, plain))
    assert not torch.allclose(own, theirs)
    torch.testing.assert_close(ours.logits(images)[:1], ours.logits(images[:1]), rtol=1e-4, atol=1e-4)


def test_the_attention_is_that_of_the_last_block(trained):
    classifier = load_classifier("castream:resnet18", weights=trained)
    images = photo(2, size=224)
    net = classifier.net
    with torch.no_grad():
        normalised = (images - classifier.mean[:, None, None]) / classifier.std[:, None, None]
        features = net.features(normalised)
        q = net.stream.token
        for block, maps in zip(list(net.stream.blocks)[:-1], features[:-1], strict=True):
            q = block(q, maps)
        wanted = torch.einsum("bd,bdhw->bhw", q.double(), features[-1].double()) / math.sqrt(512)
    found = EXPLAINERS["ca-attention"].value.function(classifier, images, torch.tensor(CLASSES))
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-4)


def test_without_a_stream_there_is_no_attention():
    reason = EXPLAINERS["ca-attention"].value.skip(load_classifier("efficientnet_lite0"))
    assert "castream:NAME" in reason


def refused(arguments_, capsys):
    assert main(arguments_) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    return lines[-1]


def test_bad_input_is_one_clear_line(given, trained, tmp_path, capsys):
    one = tmp_path / "one"
    (one / SYNSETS[0]).mkdir(parents=True)
    for file in (given[1] / SYNSETS[0]).iterdir():
        (one / SYNSETS[0] / file.name).symlink_to(file)
    arguments_ = arguments((given[0], one), tmp_path / "out")
    assert "one class" in refused(arguments_, capsys)
    assert "did you mean 'resnet18'" in refused([*arguments(given, tmp_path / "out"), "--model", "resnet81"], capsys)
    with pytest.raises(UsageError, match=r"python -m methods\.castream\.train --model resnet50"):
        load_classifier("castream:resnet50")
    with pytest.raises(UsageError, match="castream:resnet34"):
        load_classifier("castream:resnet34", weights=trained)
    with pytest.raises(UsageError, match="needs its stages by name"):
        load_classifier("castream:mobilenet_v2")


def test_facts_are_json(trained):
    with safe_open(trained, "pt") as opened:
        assert json.loads(opened.metadata()["steps"]) == 16


def test_the_list_says_how_networks_are_trained(capsys):
    assert run_benchmark(["--list"]) == 0
    listed = capsys.readouterr().out
    for name, package in {"castream:NAME": "castream", "denoise:FILE": "denoise", "walls:vgg16": "walls"}.items():
        assert f"{name}" in listed
        assert f"python -m methods.{package}.train" in listed
