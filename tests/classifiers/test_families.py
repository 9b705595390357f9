"""Every family of nets by name: bit equality with the untouched net, target layers, the user's own, clear refusals."""

from __future__ import annotations

from pathlib import Path

import foolbox
import numpy as np
import pytest
import timm
import torch
import torchvision.models as models
from PIL import Image
from torch import Tensor, nn

from bench.classifiers.load import find_architecture, load_classifier
from bench.classifiers.torchvision_nets import LAYERS, OPTIONS
from bench.core.architecture import CLASSIFIERS
from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from bench.run.config import DEFAULT_MODEL
from tests.places import SHARED
from tests.toys import photo

pytestmark = pytest.mark.slow

PHOTOGRAPHS = sorted((Path(foolbox.__file__).parent / "data").glob("imagenet_*_*.jpg"))

NETS = {  # name: (input size, layer, K and h, logits are GAP + linear)
    "resnet18": (64, "layer4.1", (512, 2), True),
    "resnet50": (64, "layer4.2", (2048, 2), True),
    "vgg16": (32, "features.30", (512, 1), False),
    "vgg16_bn": (32, "features.43", (512, 1), False),
    "convnext_small": (64, "features.7.2.block.5", (768, 2), False),
    "convnext_base": (64, "features.7.2.block.5", (1024, 2), False),
    "mobilenet_v2": (64, "features.18", (1280, 2), True),
    "mobilenet_v3_small": (64, "features.12", (576, 2), False),
    "densenet121": (64, "features.norm5", (1024, 2), False),
    "squeezenet1_1": (64, "features.12", (512, 3), False),
    "inception_v3": (112, "Mixed_7c", (2048, 2), True),
    "googlenet": (64, "inception5b", (1024, 2), True),
    "efficientnet_b0": (64, "features.8", (1280, 2), True),
    "shufflenet_v2_x0_5": (64, "conv5", (1024, 2), True),
    "mnasnet0_5": (64, "layers.16", (1280, 2), True),
    "regnet_y_400mf": (64, "trunk_output.block4", (440, 2), True),
    "swin_t": (64, "features.7", (768, 2), False),
    "vit_b_32": (64, "encoder.layers.encoder_layer_11.ln_1", (768, 2), False),
}


def light(name: str, **options: object) -> nn.Module:
    """torchvision's net with cheap random weights and non-trivial normalisation statistics."""
    init = {key: getattr(nn.init, key) for key in ("kaiming_normal_", "kaiming_uniform_", "trunc_normal_", "normal_")}
    try:
        for key in init:
            setattr(nn.init, key, lambda tensor, *args, **kwargs: tensor)
        net = models.get_model(name, weights=None, **{**OPTIONS.get(name, {}), **options})
    finally:
        for key, function in init.items():
            setattr(nn.init, key, function)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim > 1:
                bound = (3 / parameter[0].numel()) ** 0.5
                parameter.uniform_(-2 * bound, 2 * bound, generator=generator)
            else:
                parameter.uniform_(0.2, 1, generator=generator)
    return net.eval()


@pytest.mark.parametrize("name", NETS)
def test_torchvision_nets_are_split_bit_by_bit_at_the_papers_layer(name: str) -> None:
    size, layer, (channels, side), linear = NETS[name]
    rule = find_architecture(name).layer
    net = light(name, **({"image_size": size} if name.startswith("vit") else {}))
    images = photo(2, size)
    with torch.inference_mode():
        expected = net(images)
    split = Classifier(net, name=name, layer=rule, input_size=size)
    with torch.inference_mode():
        A, rest = split.trunk(images)
        assert split.layer == layer
        assert split.traced
        assert A.shape == (2, channels, side, side)
        assert torch.isfinite(expected).all()
        assert expected.std() > 0
        assert torch.equal(split.head(A, rest), expected)
        assert torch.equal(split.logits(images), expected)
        assert (split.linear is not None) == linear
        assert all(tensor.shape[0] == 2 for tensor in rest)


def test_every_torchvision_net_has_a_name_and_a_layer_rule() -> None:
    for name in models.list_models(module=models):
        architecture = find_architecture(name)
        assert name in CLASSIFIERS
        assert architecture.layer in LAYERS.values(), name
        assert len(architecture.classes) == 1000
    assert find_architecture("resnet50").input_size == 224
    assert find_architecture("resnet50").interpolation == "bilinear"
    assert find_architecture("efficientnet_b0").interpolation == "bicubic"
    assert find_architecture("inception_v3").input_size == 299


def test_inception_normalisation_is_transform_input_behind_imagenets() -> None:
    """torchvision's weights expect ImageNet normalisation and `transform_input=True`: together, mean and std 0.5."""
    images = photo(1, 80)
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    net = light("googlenet")
    theirs = models.GoogLeNet._transform_input
    net.transform_input = True
    expected = theirs(net, (images - mean) / std)
    architecture = find_architecture("googlenet")
    torch.testing.assert_close((images - architecture.mean[0]) / architecture.std[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "size", "layer", "linear"),
    [
        ("vit_tiny_patch16_224", 64, "blocks.11.norm1", False),
        ("deit_tiny_distilled_patch16_224", 64, "blocks.11.norm1", False),
        ("convnext_atto", 64, "stages.3.blocks.1.mlp.fc2", False),
        ("resnet10t", 64, "layer4", True),
        ("tf_efficientnet_lite0", 64, "bn2", True),
        ("mobilenetv3_small_050", 64, "blocks.5", False),
    ],
)
def test_timm_nets_are_split_bit_by_bit(name: str, size: int, layer: str, linear: bool) -> None:
    from bench.classifiers.timm_nets import timm_architecture

    rule = timm_architecture(name).layer
    torch.manual_seed(0)
    options = {"img_size": size} if "patch16" in name else {}
    net = timm.create_model(name, **options).eval()
    images = photo(2, size)
    with torch.inference_mode():
        expected = net(images)
    split = Classifier(net, name=name, layer=rule, input_size=size)
    with torch.inference_mode():
        A, rest = split.trunk(images)
        assert split.layer == layer
        assert split.traced
        assert A.ndim == 4
        assert A.shape[2] == A.shape[3]
        assert torch.equal(split.head(A, rest), expected)
        assert (split.linear is not None) == linear


def squashed(file: Path, size: int) -> Tensor:
    image = Image.open(file).convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255


def test_embedded_default_knows_17_of_the_20_photographs() -> None:
    lite = load_classifier(DEFAULT_MODEL)
    images = torch.cat([squashed(file, lite.input_size) for file in PHOTOGRAPHS])
    labels = torch.tensor([int(file.stem.rpartition("_")[2]) for file in PHOTOGRAPHS])
    with torch.inference_mode():
        A, rest = lite.trunk(images)
        predicted = lite.head(A, rest).argmax(1)
    assert len(images) == 20
    assert (predicted == labels).sum() == 17
    assert A.shape[1:] == (1280, 7, 7)
    assert A.min() >= 0
    assert A.max() == 6  # ReLU6 is part of the maps
    assert lite.linear is not None
    assert lite.relus
    assert lite.traced
    assert lite.classes[int(labels[0])]
    assert "efficientnet-lite0" in lite.origin


def test_shared_resnet50_classifies_validation_images() -> None:
    weights, root = SHARED / "weights/resnet50.safetensors", SHARED / "data/imagenet-val-1000"
    if not weights.is_file() or not root.is_dir():
        pytest.skip("no shared weights and images")
    resnet = load_classifier("resnet50", weights=weights)
    synsets = [line.split()[0] for line in (root / "LOC_synset_mapping.txt").read_text().splitlines()]
    truth = dict(line.split(",")[:2] for line in (root / "LOC_val_solution.csv").read_text().splitlines()[1:])
    files = sorted((root / "ILSVRC/Data/CLS-LOC/val").glob("*.JPEG"))[:20]
    images = torch.cat([squashed(file, 224) for file in files])
    labels = torch.tensor([synsets.index(truth[file.stem].split()[0]) for file in files])
    with torch.inference_mode():
        right = (resnet.logits(images).argmax(1) == labels).sum()
    assert right >= 12  # 78 % on all of them; 12 or fewer of 20 by chance in 2 % of draws
    assert resnet.origin.startswith("resnet50.safetensors sha256:")
    assert resnet.linear is not None


CUSTOM = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 4, 4)
        self.classes = nn.Linear(5, 7)  # a submodule whose name is that of a fact

    def forward(self, x):
        return self.classes(self.conv(x).relu().mean((2, 3)))

def plain():
    torch.manual_seed(0)
    return Net()

def stated():
    return Net()
stated.layer, stated.input_size, stated.mean, stated.std = "conv", 32, [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]
stated.classes = ["a", "b", "c", "d", "e", "f", "g"]

instance = Net()
instance.input_size = 48

def needs(argument):
    return Net()

def wrong():
    return 3

number = 4
"""


@pytest.fixture
def custom(tmp_path: Path) -> Path:
    file = tmp_path / "mynet.py"
    file.write_text(CUSTOM)
    return file


def test_a_net_from_a_file(custom: Path) -> None:
    plain = load_classifier(f"{custom}:plain")
    assert (plain.num_classes, plain.layer, plain.input_size) == (7, "conv", 224)
    assert plain.classes == ("0", "1", "2", "3", "4", "5", "6")
    images = photo(1, 224)
    torch.manual_seed(0)
    conv, fc = nn.Conv2d(3, 5, 4, 4), nn.Linear(5, 7)
    torch.testing.assert_close(plain.logits(images), fc(conv(images).relu().mean((2, 3))))

    stated = load_classifier(f"{custom}:stated")
    assert (stated.layer, stated.input_size, stated.classes[6]) == ("conv", 32, "g")
    assert stated.mean.tolist() == [0.5] * 3
    assert stated.std.tolist() == [0.25] * 3
    assert load_classifier(f"{custom}:instance").input_size == 48


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("plian", r"did you mean 'plain'"),
        ("needs", r"needs\(\) failed: TypeError"),
        ("wrong", r"wrong\(\) returned a int, not a torch.nn.Module"),
        ("number", r"is a int; it must be a net or a function"),
    ],
)
def test_files_that_give_no_net_are_refused(custom: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load_classifier(f"{custom}:{name}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "near"),
    [("resnt50", "resnet50"), ("efficientnet_lite", "efficientnet_lite0"), ("timm:resnet1", "resnet18")],
)
def test_unknown_names_get_near_ones(text: str, near: str) -> None:
    with pytest.raises(UsageError, match=near):
        load_classifier(text)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(UsageError, match="no such Python file: .*absent.py"):
        load_classifier("absent.py:net")
