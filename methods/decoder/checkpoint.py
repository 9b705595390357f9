"""A trained decoder as one safetensors file, and whom it was trained for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from methods.decoder.architecture import Decoder, DecoderConfig

VERSION = 1
"""Of the file's layout."""
SHIPPED = Path(__file__).with_name("weights")
"""Decoders that come with the project: NET.safetensors, or NET.RECIPE.safetensors of a further recipe."""
RECIPES = ("panel",)
"""Further recipes. `panel`: trained so that companions agree (`results/published/decoder_study.md`)."""


@dataclass(frozen=True)
class Facts:
    """What a checkpoint says about itself. No dates: the same training writes the same file, but for its seconds."""

    config: DecoderConfig
    classifier: str
    classifier_digest: str
    """`Classifier.digest` of the net it was trained for."""
    trained_on: str
    """The training images, in words."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """Everything else that the training depended on."""
    cost: Mapping[str, Any] = field(default_factory=dict)
    """Seconds, epochs, steps, images and device of the training."""
    version: int = VERSION

    @property
    def helpers(self) -> tuple[str, ...]:
        """sha256 of the weights of all networks beside the classifier that took part in the training."""
        companions = (name.rpartition("@")[2] for name in self.recipe.get("companions", ()))
        return tuple(dict.fromkeys([*companions, *self.recipe.get("helpers", ())]))

    def metadata(self) -> dict[str, str]:
        """One JSON text per field, since safetensors keeps texts."""
        return {name: json.dumps(value, sort_keys=True) for name, value in dataclasses.asdict(self).items()}

    def check(self, classifier: Classifier, file: Path) -> None:
        """Raises UsageError unless the decoder was trained for this classifier, these weights and this layer."""
        ours = (classifier.name, classifier.digest, classifier.layer)
        theirs = (self.classifier, self.classifier_digest, self.config.layers[0])
        if ours[1:] != theirs[1:]:
            raise UsageError(
                f"{file} was trained for {described(*theirs)}, not for {described(*ours)}; "
                f"train another: {training_command(classifier)}"
            )


def described(name: str, digest: str, layer: str) -> str:
    return f"{name} (weights {digest[:12]}, layer {layer})"


def training_command(classifier: Classifier) -> str:
    return f"python -m methods.decoder.train --model {classifier.name} --data-root IMAGES --out FOLDER"


def to_bytes(decoder: Decoder, facts: Facts) -> bytes:
    """The file's content."""
    state = {name: tensor.detach().float().cpu().contiguous() for name, tensor in decoder.state_dict().items()}
    return safetensors.torch.save(state, facts.metadata())


def read_facts(file: Path) -> Facts:
    """Raises UsageError for a file that is missing or holds no decoder of this version."""
    if not file.is_file():
        raise UsageError(f"no such decoder: {file}; train one with python -m methods.decoder.train")
    try:
        with safe_open(file, "pt") as opened:
            fields = {key: json.loads(text) for key, text in (opened.metadata() or {}).items()}
        facts = Facts(**{**fields, "config": DecoderConfig.from_json(fields["config"])})
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{file} is not a checkpoint of a decoder ({type(error).__name__}: {error})") from error
    if facts.version != VERSION:
        raise UsageError(f"{file} is of version {facts.version}, this program reads {VERSION}; train it again")
    return facts


def load(file: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Decoder:
    """The decoder in a file, frozen. Raises UsageError as `read_facts`."""
    facts = read_facts(file)
    with torch.device("meta"):  # no weights are drawn, so that the global generator stays as it was
        decoder = Decoder(facts.config)
    try:
        decoder.load_state_dict(safetensors.torch.load_file(file), assign=True)
    except RuntimeError as error:
        raise UsageError(f"{file} does not fit its own configuration: {str(error).splitlines()[0]}") from error
    return decoder.to(device, dtype).eval().requires_grad_(False)


def shipped(classifier: Classifier, recipe: str = "") -> Path | None:
    """The decoder of a recipe that comes with the project for this classifier, its weights and its layer; None if there
    is none."""
    for file in sorted(SHIPPED.glob("*.safetensors")):
        if file.stem.partition(".")[2] != recipe:
            continue
        facts = read_facts(file)
        if (facts.classifier_digest, facts.config.layers[0]) == (classifier.digest, classifier.layer):
            return file
    return None
