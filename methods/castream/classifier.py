"""Networks with a stream as classifiers: `castream:resnet50`, or `castream:NAME@STAGE+STAGE`."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import torchvision.models as models
from torch import nn

from bench.classifiers.torchvision_nets import torchvision_architecture
from bench.core.architecture import Architecture, family
from bench.core.errors import UsageError, suggest
from bench.core.seeds import forked_rng
from methods.castream.architecture import StreamedNet, check_chain, usual_stages

PREFIX = "castream:"
TRAIN = "python -m methods.castream.train"


@family("castream:NAME", r"castream:.*", f"{TRAIN} --model NAME --data-root IMAGES --out FOLDER")
def castream_architecture(text: str) -> Architecture:
    """A torchvision net whose pooling is a stream, at the target layer that the net has without it. Its weights are
    those of `python -m methods.castream.train`. Raises UsageError for unknown names and stages."""
    name, _, named = text.removeprefix(PREFIX).partition("@")
    if name not in models.list_models(module=models):
        raise UsageError(f"unknown torchvision model {name!r}; {suggest(name, models.list_models(module=models))}")
    plain = torchvision_architecture(name)
    stages = tuple(named.split("+")) if named else usual_stages(name)

    def build() -> nn.Module:
        with forked_rng(0):
            net = StreamedNet(plain.build().eval(), stages)
        check_chain(net, plain.input_size)
        return net

    def no_stream(net: nn.Module) -> NoReturn:
        raise UsageError(
            f"{text} needs a trained stream; {training_command(name, named)}, then --weights FOLDER/net.safetensors"
        )

    return replace(plain, build=build, layer=plain.layer and f"net.{plain.layer}", fetch=no_stream)


def training_command(name: str, named: str = "") -> str:
    stages = f" --stages {named.replace('+', ',')}" if named else ""
    return f"{TRAIN} --model {name}{stages} --data-root IMAGES --out FOLDER"
