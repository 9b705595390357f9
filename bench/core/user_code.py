"""Python files of the user: imported by path, once, with their folder importable as for a script."""

from __future__ import annotations

import importlib.util
import re
import sys
import types
from pathlib import Path

from bench.core.errors import FOREIGN_ERRORS, UsageError, foreign, reason
from bench.core.paths import user_path
from bench.core.source import neighbours


def load_file(path: str | Path) -> types.ModuleType:
    """Import a Python file by path, once; its folder can be imported from, as for a script.

    Raises UsageError when it is missing, fails on import, or would get another file's module for a neighbour.
    """
    path = user_path(path).resolve()
    name = "cambench_file_" + re.sub(r"\W", "_", str(path))
    if name in sys.modules:
        return sys.modules[name]
    if not path.is_file():
        raise UsageError(f"no such Python file: {path}")
    module_spec = importlib.util.spec_from_file_location(name, path)
    if module_spec is None or module_spec.loader is None:
        raise UsageError(f"{path} is not a Python file (its name must end in .py)")
    refuse_other_neighbours(path)
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    import torch  # not before a file is loaded: the command line starts without it

    gradients = torch.is_grad_enabled()
    try:
        module_spec.loader.exec_module(module)
        torch.set_grad_enabled(gradients)
    except UsageError:
        del sys.modules[name]
        raise
    except FOREIGN_ERRORS as error:
        del sys.modules[name]
        if not foreign(error):
            raise
        hint = "; import its neighbours without the dot" if "relative import" in str(error) else ""
        raise UsageError(f"{path} cannot be imported: {reason(error)}{hint}") from error
    return module


def refuse_other_neighbours(path: Path) -> None:
    """Raises UsageError where a neighbour that the file imports would be a module of the same name from elsewhere."""
    for file in neighbours(path):
        name = file.parent.name if file.stem == "__init__" else file.stem
        loaded = getattr(sys.modules.get(name), "__file__", None)
        if loaded and file.parent in (path.parent, path.parent / name) and Path(loaded).resolve() != file:
            raise UsageError(f"{path} imports {name!r}, but {loaded} has that name already; rename {file.name}")
