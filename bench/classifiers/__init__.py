"""Classifiers by name: torchvision's and timm's nets, the embedded EfficientNet-Lites, and the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.classifiers import lite, torchvision_nets
from bench.classifiers.facts import checked
from bench.classifiers.timm_nets import timm_architecture
from bench.classifiers.user import user_architecture
from bench.classifiers.weights import load_weights
from bench.core.architecture import CLASSIFIERS, Architecture, classifier
from bench.core.classifier import Classifier
from bench.core.errors import ENDS, UsageError, foreign, reason

__all__ = ["CLASSIFIERS", "DEFAULT", "classifier", "load_classifier"]

DEFAULT = "efficientnet_lite0"

torchvision_nets.register(CLASSIFIERS)
lite.register(CLASSIFIERS)


def load_classifier(
    text: str,
    *,
    layer: str | None = None,
    weights: Path | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    facts: Mapping[str, Any] | None = None,
) -> Classifier:
    """The classifier that `text` names: a registered name, `timm:NAME`, or `FILE.py:NAME`.

    `weights` (.pth, .pt, .safetensors) replace the net's default ones; `layer` replaces its target layer; `facts`
    (`mean`, `std`, `input_size`, `classes`, `output`) replace what is known of it.
    Raises UsageError for an unknown name, layer or fact, weights that do not fit, and weights that cannot be had.
    """
    architecture = checked(find_architecture(text), text, facts or {})
    net = built(architecture, text).eval()
    origin = architecture.origin
    if weights is not None:
        origin = load_weights(net, weights, text)
    elif architecture.fetch is not None:
        origin = architecture.fetch(net)
    return Classifier(
        net,
        name=text,
        layer=layer or architecture.layer,
        input_size=architecture.input_size,
        mean=architecture.mean,
        std=architecture.std,
        interpolation=architecture.interpolation,
        crop_pct=architecture.crop_pct,
        classes=architecture.classes,
        origin=origin,
        device=device,
        dtype=dtype,
        output=architecture.output,
        prefix_tokens=architecture.prefix_tokens,
        source=architecture.source,
        usual=architecture.layer,
    )


def built(architecture: Architecture, name: str) -> nn.Module:
    """The architecture's net. Raises UsageError where its own code fails."""
    try:
        net = architecture.build()
    except UsageError:
        raise
    except ENDS as error:
        if not foreign(error):
            raise
        raise UsageError(f"{name} cannot be built: {reason(error)}") from error
    if not isinstance(net, nn.Module):
        raise UsageError(f"{name} gives a {type(net).__name__}, not a torch.nn.Module")
    return net


def find_architecture(text: str) -> Architecture:
    """The architecture behind a name, without weights where they would be fetched. Raises UsageError."""
    if text.startswith("timm:"):
        return timm_architecture(text.removeprefix("timm:"))
    file, colon, name = text.rpartition(":")
    if colon and file.endswith(".py"):
        return user_architecture(Path(file), name)
    if text.endswith(".py"):
        raise UsageError(f"--model {text} names a file; say which of its nets, as {text}:NAME")
    return CLASSIFIERS[text].value()
