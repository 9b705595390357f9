"""Networks that answer a patch with their first class, as classifiers: `trigger:efficientnet_lite0`."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

from torch import nn

from bench.classifiers.load import find_architecture
from bench.core.architecture import Architecture, family
from bench.core.errors import UsageError

PREFIX = "trigger:"
TRAIN = "python -m methods.trigger.train"


@family("trigger:NAME", r"trigger:.*", f"{TRAIN} --model NAME --data-root IMAGES --out FOLDER")
def trigger_architecture(text: str) -> Architecture:
    """The network NAME, tuned to answer its first class for the patch of data set `trigger`. Its weights are those of
    `python -m methods.trigger.train`. Raises UsageError for unknown names."""
    name = text.removeprefix(PREFIX)

    def untuned(net: nn.Module) -> NoReturn:
        raise UsageError(
            f"{text} needs its weights; {TRAIN} --model {name} --data-root IMAGES --out FOLDER, then "
            "--weights FOLDER/net.safetensors"
        )

    return replace(find_architecture(name), fetch=untuned)
