"""EfficientNet-Lite0 with layers drawn again, from the last one down, for the honest checks of `decoder_study.md`."""

from typing import Any

import timm
import torch
from torch import nn

from bench.classifiers.lite import lite_architecture
from bench.core.dataset import load_dataset
from bench.data.pixels import load_image

FACTS = {
    "layer": "bn2",
    "input_size": 224,
    "mean": (127 / 255,) * 3,
    "std": (128 / 255,) * 3,
    "interpolation": "bicubic",
}


def randomised(*layers: str) -> nn.Module:
    """The embedded net with every parameter (seed 0) under the given names drawn again, all without any; statistics of
    their normalisations, and a spread of the logits of 3, so that predictions differ from image to image, from the
    sample photographs."""
    torch.manual_seed(0)
    net: Any = timm.create_model("tf_efficientnet_lite0").eval()
    drawn = {name: value.clone() for name, value in net.state_dict().items() if name.startswith(layers or "")}
    if layers:
        fetch = lite_architecture(0).fetch
        assert fetch is not None
        fetch(net)
        net.load_state_dict(drawn, strict=False)
    for name, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d) and name.startswith(layers or ""):
            module.train().momentum = None  # the average over all batches seen: this one
    mean, std = (torch.tensor(FACTS[name])[:, None, None] for name in ("mean", "std"))
    x = torch.stack([load_image(sample, "resize-crop", 224, "bicubic") for sample in load_dataset("samples").samples])
    x = (x - mean) / std
    with torch.no_grad():
        net(x)
        logits = net.eval()(x)
        net.classifier.weight.mul_(3 / (logits - logits.mean(0)).std())
        net.classifier.bias.sub_(net(x).mean(0))
    assert isinstance(net, nn.Module)
    return net


def lite0() -> nn.Module:
    """Nothing is left of what was learnt."""
    return randomised()


def head() -> nn.Module:
    """The last layer."""
    return randomised("classifier")


def top() -> nn.Module:
    """The last layer and the last convolution with its normalisation, which makes the target layer's maps."""
    return randomised("classifier", "conv_head", "bn2")


def half() -> nn.Module:
    """From the fifth of seven groups of blocks on."""
    return randomised("classifier", "conv_head", "bn2", "blocks.4", "blocks.5", "blocks.6")


for build in (lite0, head, top, half):
    vars(build).update(FACTS)
