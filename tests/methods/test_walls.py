"""The network that cannot see its lower rows: what its output depends on, which CAMs know it, its training."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import nn

from bench.classifiers.load import assemble, load_classifier
from bench.core.dataset import load_dataset
from bench.core.errors import UsageError
from bench.core.explainer import EXPLAINERS
from bench.core.metric import METRICS, Case
from bench.core.protocols import PROTOCOLS
from bench.core.seeds import forked_rng
from bench.scoring.normalise import normalise
from methods._trained import read_facts
from methods.walls.architecture import SEEN, UNSEEN, WalledVGG
from methods.walls.classifier import walls_architecture
from methods.walls.theory import expected, maps_of, simulated
from methods.walls.training import command
from methods.walls.training.command import main
from tests.methods.interrupted import interrupted
from tests.toys import photo

TARGETS = torch.tensor([3, 700])


@pytest.fixture(scope="module")
def random_net():
    return assemble(replace(walls_architecture("walls:vgg16@64"), fetch=None), "walls:vgg16@64")


def test_the_lower_rows_change_no_bit_of_the_output(random_net):
    images = photo(2, size=224)
    other = images.clone()
    other[:, :, -UNSEEN:] = torch.rand(other[:, :, -UNSEEN:].shape)
    with torch.no_grad():
        assert torch.equal(random_net.logits(images), random_net.logits(other))
        other[:, :, -UNSEEN - 1] = 1 - other[:, :, -UNSEEN - 1]
        assert not torch.equal(random_net.logits(images), random_net.logits(other))


def test_slicing_is_the_papers_mask():
    """A first dense layer for all rows whose weights of the last nine are 0."""
    with forked_rng(1):
        net = WalledVGG(5, hidden=8).eval()
        full = nn.Linear(256 * 14 * 14, 8)
    weight = torch.zeros(8, 256, 14, 14)
    weight[:, :, :SEEN] = net.classifier[0].weight.reshape(8, 256, SEEN, 14)
    with torch.no_grad():
        full.weight.copy_(weight.flatten(1))
        full.bias.copy_(net.classifier[0].bias)
        x = photo(1, size=224)
        maps = net.features(x)
        torch.testing.assert_close(net(x), net.classifier[1:](full(maps.flatten(1))))


def shares(classifier, name):
    explainer = EXPLAINERS[name].value
    raw = explainer.function(classifier, photo(2, size=224), TARGETS)
    maps, _ = normalise(raw, 224, PROTOCOLS["walls-2024"].value.maps)
    return [float(m[-UNSEEN:].norm() / m.norm()) for m in maps]


@pytest.mark.parametrize("name", ["hires-cam", "layer-cam"])
def test_methods_that_weigh_positions_show_nothing_there(random_net, name):
    assert shares(random_net, name) == [0, 0]


@pytest.mark.parametrize("name", ["grad-cam", "grad-cam++", "xgrad-cam", "eigen-cam"])
def test_methods_that_weigh_channels_show_something_there(random_net, name):
    assert max(shares(random_net, name)) > 0.05


def test_a_constant_map_has_the_share_of_the_rows():
    protocol = PROTOCOLS["walls-2024"].value
    black = torch.zeros(3, 224, 224)

    def unseen(values):
        return METRICS["UNSEEN"].value.function(Case(black, values, values, 0, 0, protocol, torch.zeros(3), 0))

    assert unseen(torch.ones(224, 224)) == pytest.approx(math.sqrt(54 / 224))
    assert unseen(torch.zeros(224, 224)) == 0
    lower = torch.zeros(224, 224)
    lower[170:] = 0.3
    assert unseen(lower) == 1
    lower[169, 0] = 1
    assert 0 < unseen(lower) < 1


def test_the_deviation_is_the_unbiased_one():
    pool = METRICS["UNSEEN-SD"].value.pool
    assert pool(torch.tensor([[0.1], [0.3], [0.8]])) == pytest.approx(torch.tensor([0.1, 0.3, 0.8]).std().item())
    assert math.isnan(pool(torch.tensor([[0.1]])))


def test_grad_cam_is_positive_where_the_layer_reads_nothing():
    """Simulation beside the formula, within five standard errors at every position."""
    torch.manual_seed(0)
    image, filters = torch.rand(3, 13, 13, dtype=torch.double), torch.randn(24, 3, 2, 2, dtype=torch.double)
    maps = maps_of(image, filters)
    cams = simulated(maps, seen=3, draws=3000, sigma=0.7)
    wanted = expected(maps, seen=3, sigma=0.7)
    error = cams.std(0) / math.sqrt(len(cams))
    assert maps.shape == (24, 12, 12)
    assert (wanted[6:] > 0).all()
    assert ((cams.mean(0) - wanted).abs() < 5 * error).all()


def test_stacks_are_two_classes_one_above_the_other():
    classifier = load_classifier("efficientnet_lite0")
    stacks, same = load_dataset("stack-mix(stacks=5)").compose(classifier)
    assert same is classifier
    assert len(stacks.samples) == 5
    assert stacks.protocol == "walls-2024"
    for sample in stacks.samples:
        assert Image.open(sample.path).size == (224, 224)
        assert sample.boxes == ((0, 0, 224, 170),)
    again, _ = load_dataset("stack-mix(stacks=5)").compose(classifier)
    assert [sample.path for sample in stacks.samples] == [sample.path for sample in again.samples]


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """(weights of a random VGG16's features, folder of 24 photographs of two classes)."""
    root = tmp_path_factory.mktemp("walls")
    (root / "small.py").write_text(
        "import torch\nfrom torchvision.models.vgg import cfgs, make_layers\n\n"
        "class SmallVGG(torch.nn.Module):\n"
        "    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)\n\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.features, self.classifier = make_layers(cfgs['D']), torch.nn.Linear(512, 1000)\n\n"
        "    def forward(self, x):\n        return self.classifier(self.features(x).mean((2, 3)))\n"
    )
    with forked_rng(2):
        state = WalledVGG(5, 8).state_dict()
    trunk = {key: tensor for key, tensor in state.items() if key.startswith("features")}
    for name in ("features.28.weight", "features.28.bias"):
        trunk[name] = trunk[name].repeat_interleave(2, 0)
    trunk |= {"classifier.weight": torch.zeros(1000, 512), "classifier.bias": torch.arange(1000.0) % 7}
    safetensors.torch.save_file({key: tensor.contiguous() for key, tensor in trunk.items()}, root / "trunk.safetensors")
    for i, image in enumerate(photo(24, size=64)):
        file = root / "images" / ("n01440764", "n02102040")[i % 2] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = (image * (1 if i % 2 == 0 else 0.3) * 255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(file)
    return root


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr("methods.training.command.curves", lambda rows, path: path.write_bytes(b""))


def run(root, out, *more):
    return main(["--trunk", f"{root / 'small.py'}:SmallVGG", "--weights", str(root / "trunk.safetensors"),
                 "--data-root", str(root / "images"), "--out", str(out), "--cache", str(root / "cache"), "--no-augment",
                 "--hidden", "16", "--batch-size", "12", "--epochs", "2", "--lr", "0.05", *more])  # fmt: skip


def test_the_trunk_stays_and_the_rest_learns(given, tmp_path):
    assert run(given, tmp_path) == 0
    trained = safetensors.torch.load_file(tmp_path / "net.safetensors")
    trunk = safetensors.torch.load_file(given / "trunk.safetensors")
    below = [key for key in trunk if key.startswith("features") and int(key.split(".")[1]) < 28]
    assert len(below) == 24
    assert all(torch.equal(trunk[key], trained[key]) for key in below)
    assert not torch.equal(trunk["features.28.weight"][:256], trained["features.28.weight"])
    facts = read_facts(tmp_path / "net.safetensors", "walls:", "")
    assert facts["architecture"] == "walls:vgg16@16"
    assert walls_architecture(facts["architecture"]).layer == "features.29"
    walls_architecture(facts["architecture"]).build().load_state_dict(trained)


@pytest.mark.slow  # three trainings above a VGG16
def test_an_interrupted_training_ends_in_the_same_bits(given, tmp_path):
    assert run(given, tmp_path / "whole") == 0
    with interrupted(command.WalledTraining, 3):
        assert run(given, tmp_path / "parts", "--save-every", "1") == 130
    assert run(given, tmp_path / "parts", "--save-every", "1") == 0
    whole, again = (safetensors.torch.load_file(tmp_path / part / "net.safetensors") for part in ("whole", "parts"))
    assert all(torch.equal(whole[key], again[key]) for key in whole)


def test_bad_input_is_one_clear_line(given, tmp_path, capsys):
    with pytest.raises(UsageError, match=r"python -m methods\.walls\.train"):
        load_classifier("walls:vgg16@16")
    with pytest.raises(UsageError, match="name walls:vgg16"):
        load_classifier("walls:resnet18")
    arguments = ["--trunk", "efficientnet_lite0", "--data-root", str(given / "images"), "--out", str(tmp_path)]
    assert main(arguments) == 2
    assert "name a vgg16" in capsys.readouterr().err.splitlines()[-1]


def test_explainers_that_ask_the_head_often_need_no_trunk(random_net):
    assert random_net.traced
