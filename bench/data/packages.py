"""Where an installed package keeps its data files."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from bench.core.errors import UsageError


def package_folder(name: str) -> Path:
    """The folder of a top-level package, which is not imported. Raises UsageError when it is not installed."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(f"the package {name!r} is missing; run: pip install {name}")
    return Path(spec.submodule_search_locations[0])
