"""Where a table comes from: everything that someone else needs to get the same numbers."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.core.device import device_name
from bench.core.seeds import content_hash
from bench.core.version import own_version
from bench.run.images import Images
from bench.run.request import Request
from bench.scoring.judge import Judge
from bench.scoring.sources import ExplainerSource, layer_of

LIBRARIES = ("torch", "torchvision", "grad-cam", "captum", "timm", "numpy", "scipy", "scikit-learn",
             "opencv-python-headless", "pillow")  # fmt: skip


def versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in LIBRARIES}


def root_digest(root: Path) -> str:
    """Tells data folders of one name apart, without a path of this machine."""
    return content_hash(root.expanduser().resolve())[:12]


def target_layers(request: Request) -> list[str]:
    """The layer of the run, or those of the rows where each that is read at a layer names one."""
    net = request.classifier
    explainers = [source for source in request.sources if isinstance(source, ExplainerSource)]
    named = [source for source in explainers if source.spec.value.layered]
    every = bool(named) and all(source.layer for source in named)
    return list(dict.fromkeys(layer_of(source, net) for source in named)) if every else [net.layer]


def judge_facts(judges: Sequence[Judge]) -> dict[str, Any]:
    if not judges:
        return {}
    nets = [judge.classifier for judge in judges]
    return {
        "judges": ", ".join(net.name for net in nets),
        "judge weights": ", ".join(net.origin for net in nets),
        "judge weights sha256": ", ".join(net.digest for net in nets),
    }


def provenance(request: Request, images: Images) -> dict[str, Any]:
    """Facts that stand under every table and in `run.json`."""
    net, digests = request.classifier, images.table.digest
    return {
        "cambench": own_version(),
        "command": request.command,
        "classifier": net.name,
        "target layer": ", ".join(target_layers(request)),
        "weights": net.origin,
        "weights sha256": net.digest,
        **({"source sha256": net.source} if net.source else {}),
        "normalisation": net.normalisation,
        "output": net.output.name,
        **judge_facts(request.judges),
        "data": request.dataset.name,
        **({"data root sha256": root_digest(request.dataset.root)} if request.dataset.root else {}),
        "protocol": request.protocol.name,
        "images": len(digests),
        **({"images skipped": request.skip} if request.skip else {}),
        "images sha256": content_hash(*sorted(digests)),
        "images left out": images.left_out,
        "seed": request.seed,
        "dtype": str(net.dtype).removeprefix("torch."),
        "batch shape": f"{request.batch}x3x{net.input_size}x{net.input_size}",
        "device": device_name(net.device),
        **versions(),
    }


def run_facts(request: Request, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What `run.json` holds: where the table comes from, and the settings, which `--config run.json` reads back."""
    return dict(provenance) | ({"config": dict(request.config)} if request.config else {})
