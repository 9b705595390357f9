"""Where a table comes from: everything that someone else needs to get the same numbers."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

from bench.core.classifier import Classifier
from bench.core.device import device_name
from bench.core.program import SCRIPT
from bench.core.seeds import content_hash
from bench.run.images import Images
from bench.run.request import Request
from bench.scoring.judge import Judge

LIBRARIES = ("torch", "torchvision", "grad-cam", "captum", "timm", "numpy", "scipy", "scikit-learn",
             "opencv-python-headless", "pillow")  # fmt: skip


def versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in LIBRARIES}


def own_version() -> str:
    """The distribution's version, with the git commit when run from a checkout and `+` when that has been edited."""
    try:
        version = importlib.metadata.version("cambench")
    except importlib.metadata.PackageNotFoundError:
        version = "not installed"
    if not SCRIPT.is_file():
        return version  # installed, perhaps inside a repository of somebody else's
    here = SCRIPT.parent
    try:
        git = ["git", "-C", str(here)]
        commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        edited = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return version
    return f"{version} ({commit.stdout.strip()}{'+' if edited.stdout.strip() else ''})"


def root_digest(root: Path) -> str:
    """Tells data folders of one name apart, without a path of this machine."""
    return content_hash(root.expanduser().resolve())[:12]


def judge_facts(judge: Judge | None) -> dict[str, Any]:
    if judge is None:
        return {}
    net = judge.classifier
    return {"judge": net.name, "judge weights": net.origin, "judge weights sha256": net.digest}


def normalisation(net: Classifier) -> str:
    """The normalisation in force, in words."""
    if not net.mean.any() and (net.std == 1).all():
        return "none stated: images enter as [0, 1]"
    mean, std = (", ".join(f"{x:.4g}" for x in values[: net.channels].tolist()) for values in (net.mean, net.std))
    return f"mean {mean}; std {std}"


def described(net: Classifier) -> str:
    """What is known of a net, in one line, for the user to check."""
    names = ", ".join(net.classes[:4]) + (", …" if net.num_classes > 4 else "")
    return (
        f"{net.name}: layer {net.layer}, input {net.channels} × {net.input_size} × {net.input_size}, "
        f"normalisation {normalisation(net)}, {net.interpolation}, output {net.output.name}, "
        f"{net.num_classes} classes ({names if net.stated_classes else 'no names stated'})"
    )


def provenance(request: Request, images: Images) -> dict[str, Any]:
    """Facts that stand under every table and in `run.json`."""
    net, digests = request.classifier, images.table.digest
    return {
        "cambench": own_version(),
        "command": request.command,
        "classifier": net.name,
        "target layer": net.layer,
        "weights": net.origin,
        "weights sha256": net.digest,
        **({"source sha256": net.source} if net.source else {}),
        "normalisation": normalisation(net),
        "output": net.output.name,
        **judge_facts(request.judge),
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
