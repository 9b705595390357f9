"""Every classification net of torchvision, with the papers' target layers."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torchvision.models as models
from torch import nn

from bench.classifiers.weights import load_state, no_weights, require_host
from bench.core.architecture import CLASSIFIERS, Architecture
from bench.core.errors import UsageError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGENET_CLASSES = tuple(models.ResNet18_Weights.IMAGENET1K_V1.meta["categories"])

LAYERS = {
    r"(wide_)?resne(x)?t": "layer4[-1]",
    r"vgg|alexnet|mobilenet|efficientnet|squeezenet|swin": "features[-1]",
    r"convnext": "features[-1][-1].block[5]",
    r"densenet": "features.norm5",
    r"inception_v3": "Mixed_7c",
    r"googlenet": "inception5b",
    r"vit": "encoder.layers[-1].ln_1",
    r"regnet": "trunk_output[-1]",
    r"shufflenet": "conv5",
    r"mnasnet": "layers[-1]",
    r"maxvit": "blocks[-1]",
}
"""Start of a name to target layer: Opti-CAM, CA-Stream and saliencysense where they name one, else the last maps."""

OPTIONS: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": True, "transform_input": False, "init_weights": False},
    "inception_v3": {"aux_logits": True, "transform_input": False, "init_weights": False},
}
"""Auxiliary heads, which eval mode does not run, are kept so that the published files load strictly. Their inputs are
normalised here, by `MEANS_AND_STDS`, which equals `transform_input=True` behind ImageNet's mean and std."""

MEANS_AND_STDS = {"googlenet": ((0.5,) * 3, (0.5,) * 3), "inception_v3": ((0.5,) * 3, (0.5,) * 3)}


def torchvision_architecture(name: str) -> Architecture:
    """The net with its first published ImageNet weights (V1) and the recipe that belongs to them."""
    weights = first_weights(name)
    recipe = weights.transforms()
    mean, std = MEANS_AND_STDS.get(name, (tuple(recipe.mean), tuple(recipe.std)))
    return Architecture(
        partial(models.get_model, name, weights=None, **OPTIONS.get(name, {})),
        layer=next((layer for start, layer in LAYERS.items() if re.match(start, name)), None),
        input_size=recipe.crop_size[0],
        mean=mean,
        std=std,
        interpolation=recipe.interpolation.value,
        crop_pct=recipe.crop_size[0] / recipe.resize_size[0],
        classes=tuple(weights.meta["categories"]),
        fetch=partial(_fetch, name, weights),
    )


def first_weights(name: str) -> Any:
    """IMAGENET1K_V1, or for the two nets without it the linear SWAG weights at 224 pixels."""
    published = models.get_model_weights(name)
    wanted = ("IMAGENET1K_V1", "IMAGENET1K_SWAG_LINEAR_V1")
    return next(published[key] for key in wanted if key in published.__members__)


def _fetch(name: str, weights: Any, net: nn.Module) -> str:
    """torch hub's copy where there is one, else the download."""
    if not (Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name).is_file():
        require_host(weights.url, name)
    try:
        state = weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise UsageError(f"{no_weights(name)} ({type(error).__name__}: {error})") from error
    load_state(net, state, source=str(weights), name=name)
    return f"torchvision {weights} {Path(weights.url).name}"


for _name in models.list_models(module=models):
    CLASSIFIERS.add(_name, partial(torchvision_architecture, _name), origin=f"torchvision.models.{_name}")
