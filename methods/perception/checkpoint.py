"""An inverter's file, and the inverter of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from methods._trained import read_facts, stored_net
from methods.perception.architecture import Inverter

PREFIX = "perception:"
COMMAND = "python -m methods.perception.train --data-root IMAGES --out FOLDER"


def facts_of(file: Path) -> dict[str, Any]:
    """What the file says of itself. Raises UsageError for one that is missing or of another training."""
    return read_facts(file, PREFIX, COMMAND)


def load_inverter(file: Path, classifier: Classifier) -> Inverter:
    """The inverter of a classifier's maps, on its device. Raises UsageError for another classifier's."""
    facts = facts_of(file)
    if (facts["classifier"], facts["layer"]) != (classifier.digest, classifier.layer):
        raise UsageError(
            f"{file} inverts layer {facts['layer']} of {facts['architecture'].removeprefix(PREFIX)} with other weights "
            f"or at another layer than {classifier.name}'s; name its --model and --weights"
        )
    shape = facts["shape"]
    net = stored_net(lambda: Inverter(*shape), file)
    assert isinstance(net, Inverter)
    return net.requires_grad_(False).to(classifier.device)
