"""Any net of timm, as `timm:NAME` or `timm:NAME.TAG`."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from bench.classifiers.facts import INTERPOLATIONS
from bench.classifiers.torchvision_nets import IMAGENET_CLASSES
from bench.classifiers.weights import no_weights, require_host
from bench.core.architecture import Architecture, family
from bench.core.errors import UsageError, suggest

LAYERS = {
    r"vit_|deit|beit|eva|cait": "blocks[-1].norm1",
    r"convnext": "stages[-1].blocks[-1].mlp.fc2",
    r"(tf_)?(efficientnet|mixnet|mnasnet|mobilenetv2|semnasnet|fbnetc|spnasnet)": "bn2",
}
"""Start of a name to target layer; elsewhere the last module of timm's `feature_info`."""


@family("timm:NAME", r"timm:.*")
def timm_architecture(text: str) -> Architecture:
    """The net with its default tag's weights and recipe (`pretrained_cfg`). Raises UsageError for unknown names."""
    import timm

    name = text.removeprefix("timm:")
    if not timm.is_model(name):
        raise UsageError(f"unknown timm model {name!r}; {suggest(name, timm.list_models())}")
    net: Any = timm.create_model(name).eval()
    recipe = net.pretrained_cfg
    return Architecture(
        lambda: net,
        layer=_layer(name, net),
        input_size=recipe["input_size"][1],
        mean=tuple(recipe["mean"]),
        std=tuple(recipe["std"]),
        interpolation=recipe["interpolation"] if recipe["interpolation"] in INTERPOLATIONS else "bilinear",
        crop_pct=recipe.get("crop_pct"),
        classes=IMAGENET_CLASSES if net.num_classes == len(IMAGENET_CLASSES) else (),
        fetch=partial(_fetch, name),
    )


def _layer(name: str, net: Any) -> str | None:
    for start, layer in LAYERS.items():
        if re.match(start, name):
            return layer
    features = getattr(net, "feature_info", None)
    module = features[-1].get("module") if features else None
    return module if module in dict(net.named_modules()) else None  # then the last maps are taken


def _fetch(name: str, net: Any) -> str:
    """The cached copy where there is one, else the download."""
    import huggingface_hub
    import timm

    recipe = net.pretrained_cfg
    repository, url = recipe.get("hf_hub_id"), recipe.get("url")
    if not repository and not url:
        raise UsageError(f"timm publishes no weights for {name}; give a file with --weights timm:{name}=FILE")
    cached = repository and isinstance(huggingface_hub.try_to_load_from_cache(repository, "model.safetensors"), str)
    if not cached:
        require_host(f"https://huggingface.co/{repository}" if repository else str(url), f"timm:{name}")
    try:
        net.load_state_dict(timm.create_model(name, pretrained=True).state_dict())
    except (OSError, RuntimeError) as error:
        raise UsageError(f"{no_weights(f'timm:{name}')} ({type(error).__name__})") from error
    return f"timm {timm.__version__} {repository or url}"
