"""Networks of `python -m methods.denoise.train` as classifiers: `denoise:FILE.safetensors`."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from bench.core.architecture import Architecture, family
from bench.core.errors import UsageError
from methods._trained import read_facts, stored_net
from methods.denoise.nets import NETS

PREFIX = "denoise:"
COMMAND = "python -m methods.denoise.train --data-root IMAGES --out FOLDER"


@family("denoise:FILE.safetensors", r"denoise:.*", COMMAND)
def denoise_architecture(text: str) -> Architecture:
    """The network that a file holds, with the size, normalisation and classes that it was trained with. Raises
    UsageError for a file that is missing or not of this training."""
    file = Path(text.removeprefix(PREFIX)).expanduser()
    facts = read_facts(file, PREFIX, COMMAND)
    name = facts["architecture"].removeprefix(PREFIX)
    if name not in NETS:
        raise UsageError(f"{file} holds a {name}, which is none of {', '.join(NETS)}; train it again: {COMMAND}")
    make, layer = NETS[name]

    def build() -> nn.Module:
        return stored_net(lambda: make(len(facts["classes"])), file)

    return Architecture(
        build, layer, facts["size"], tuple(facts["mean"]), tuple(facts["std"]), classes=tuple(facts["classes"]),
        origin=f"{file.name}: {name}, {facts['trained_on']}",
    )  # fmt: skip
