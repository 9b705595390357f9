"""The walled network as a classifier: `walls:vgg16`, or `walls:vgg16@512` with narrower dense layers."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

from torch import nn

from bench.classifiers.torchvision_nets import torchvision_architecture
from bench.core.architecture import Architecture, family
from bench.core.errors import UsageError
from bench.core.seeds import forked_rng
from methods.walls.architecture import HIDDEN, TRUNK, WalledVGG

PREFIX = "walls:"
COMMAND = "python -m methods.walls.train --data-root IMAGES --out FOLDER"


@family("walls:vgg16", r"walls:.*", COMMAND)
def walls_architecture(text: str) -> Architecture:
    """VGG16 that does not see the last 54 of 224 rows, for ImageNet's classes, at its last ReLU. Its weights are those
    of `python -m methods.walls.train`. Raises UsageError for another name."""
    name, _, width = text.removeprefix(PREFIX).partition("@")
    if name != "vgg16" or not (width or str(HIDDEN)).isdecimal() or width == "0":
        raise UsageError(f"{text!r} is no walled network; name walls:vgg16, or walls:vgg16@WIDTH of the dense layers")

    def build() -> nn.Module:
        with forked_rng(0):
            return WalledVGG(hidden=int(width or HIDDEN))

    def untrained(net: nn.Module) -> NoReturn:
        hidden = f" --hidden {width}" if width else ""
        raise UsageError(f"{text} needs its weights; {COMMAND}{hidden}, then --weights FOLDER/net.safetensors")

    return replace(torchvision_architecture(name), build=build, layer=f"features.{TRUNK + 1}", fetch=untrained)
