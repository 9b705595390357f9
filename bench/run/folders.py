"""Names of results folders: what tells two runs apart is in them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.core.classifier import Classifier
from bench.core.dataset import Dataset
from bench.core.protocols import Protocol
from bench.core.seeds import content_hash
from bench.run.provenance import root_digest

LONGEST = 200
"""Bytes of a name; file systems allow 255."""


def folder(*parts: str) -> str:
    """The parts joined by hyphens, of letters, digits and `_.+-` only; it never begins with a dot and is never longer
    than 200 bytes."""
    name = re.sub(r"[^\w.+-]+", "_", "-".join(parts)).lstrip("_.-").rstrip("_")
    if len(name.encode()) <= LONGEST:
        return name
    return name.encode()[: LONGEST - 9].decode(errors="ignore") + "-" + content_hash(name)[:8]


def default_out(classifier: Classifier, dataset: Dataset, chosen: Protocol, layers: Sequence[str] = ()) -> Path:
    """The results folder of a command that names none: results/MODEL[-LAYER]-DATA[-ROOT]-PROTOCOL.

    LAYER is there where it is not the usual one or there are several, and ROOT, the name of the data's own folder,
    where the data set is any folder. Where the results there are of another data folder of the same name, a digest
    tells the two apart.
    """
    layer = ["+".join(layers)] if layers else [] if classifier.usual_layer else [classifier.layer]
    place = [dataset.root.resolve().name] if dataset.root and re.match(r"folder\b", dataset.name) else []
    name = folder(classifier.name, *layer, dataset.name, *place, chosen.name)
    digest = root_digest(dataset.root) if dataset.root else None
    if digest and facts_of(Path("results") / name).get("data root sha256", digest) != digest:
        name = folder(classifier.name, *layer, dataset.name, *place, digest, chosen.name)
    return Path("results") / name


def facts_of(out: Path) -> dict[str, Any]:
    """What a results folder's `run.json` says, nothing where there is none that can be read."""
    try:
        facts = json.loads((out / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}
