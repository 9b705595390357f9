"""Discovery: every module of a package registers what it holds when it is imported."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable


def import_modules(package: str, path: Iterable[str]) -> None:
    """Import every module of a package, in the order of their names: adding a file is all that it takes to add one.
    A module named with an underscore is left out: it registers nothing, and may need what is not installed.

    `package` is the package's `__name__`, `path` its `__path__`.
    """
    for module in pkgutil.iter_modules(path):
        if not module.name.startswith("_"):
            importlib.import_module(f"{package}.{module.name}")
