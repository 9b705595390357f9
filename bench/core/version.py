"""The version of the program."""

from __future__ import annotations

import importlib.metadata
import subprocess

from bench.core.program import SCRIPT


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
