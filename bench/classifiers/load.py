"""A classifier from what names it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.classifiers.facts import checked
from bench.classifiers.weights import load_weights
from bench.core.architecture import CLASSIFIERS, FAMILIES, Architecture
from bench.core.classifier import Classifier
from bench.core.errors import FOREIGN_ERRORS, UsageError, foreign, reason


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
    Raises UsageError for an unknown name, layer or fact, weights that do not fit, and weights that are not available.
    """
    return assemble(
        find_architecture(text), text, layer=layer, weights=weights, device=device, dtype=dtype, facts=facts
    )


def assemble(
    architecture: Architecture,
    name: str,
    *,
    layer: str | None = None,
    weights: Path | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    facts: Mapping[str, Any] | None = None,
) -> Classifier:
    """The classifier of an architecture, under a name; see `load_classifier`."""
    architecture = checked(architecture, name, facts or {})
    net = built(architecture, name).eval()
    origin = architecture.origin
    if weights is not None:
        origin = load_weights(net, weights, name)
    elif architecture.fetch is not None:
        origin = architecture.fetch(net)
    return Classifier(
        net,
        name=name,
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
    except FOREIGN_ERRORS as error:
        if not foreign(error):
            raise
        raise UsageError(f"{name} cannot be built: {reason(error)}") from error
    if not isinstance(net, nn.Module):
        raise UsageError(f"{name} gives a {type(net).__name__}, not a torch.nn.Module")
    return net


def find_architecture(text: str) -> Architecture:
    """The architecture behind a name, without weights where they would be fetched. Raises UsageError."""
    for entry in FAMILIES:
        if re.fullmatch(entry.value.pattern, text):
            return entry.value.architecture(text)
    return CLASSIFIERS[text].value()
