"""Classifiers for notebooks: by name, or a network in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.classifiers import load
from bench.classifiers.user import architecture_of
from bench.core.classifier import Classifier
from bench.core.device import check_device
from bench.core.paths import user_path
from bench.plugins import register


def load_classifier(
    net: str | nn.Module,
    *,
    layer: str | None = None,
    weights: str | Path | None = None,
    device: torch.device | str | None = "cpu",
    dtype: torch.dtype = torch.float32,
    name: str | None = None,
    **facts: Any,
) -> Classifier:
    """A classifier: a network, split at a layer into trunk and head, with what is known of it.

    Args:
        net: a name of `--list` (`"resnet50"`), `"timm:NAME"`, `"FILE.py:NAME"`, or an `nn.Module`, which is put into
            eval mode and frozen.
        layer: module path of the target layer, `"layer4.2"`; the usual one of the network unless given.
        weights: a `.pth` or `.safetensors` file in place of the network's own.
        device: `"cpu"`, `"cuda"`, …; None takes a GPU where there is one.
        name: what tables call a network in memory; the name of its class unless given.
        facts: `mean`, `std`, `input_size`, `classes`, `output`, `interpolation`, which override what is known.

    Its `repr` tells layer, classes and normalisation. Raises UsageError for an unknown name, layer or fact, and for
    weights that do not fit or cannot be downloaded.

    >>> load_classifier("efficientnet_lite0").num_classes
    1000
    """
    register()
    own = check_device(str(device)) if device is not None else check_device(None)
    file = None if weights is None else user_path(weights)
    if isinstance(net, str):
        return load.load_classifier(net, layer=layer, weights=file, device=own, dtype=dtype, facts=facts)
    called = name or type(net).__name__
    architecture = architecture_of(net, called)
    return load.assemble(architecture, called, layer=layer, weights=file, device=own, dtype=dtype, facts=facts)
