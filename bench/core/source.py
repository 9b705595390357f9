"""The text of the user's own code as a digest, so that rows of an edited plug-in are computed again."""

from __future__ import annotations

import ast
import hashlib
import inspect
import linecache
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

OURS = tuple(Path(__file__).resolve().parents[2] / name for name in ("bench", "methods", "metrics"))
"""Our code has versions instead."""


def source_of(function: Callable[..., Any]) -> str:
    """`source_digest` of the file that defines a function; "" where it is ours or has no source."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return source_digest(Path(code.co_filename)) if code else ""


def source_digest(file: Path) -> str:
    """16 hex digits of sha256 over a Python file and its neighbours that it imports, by their names below its folder;
    "" for a file of ours. Of code typed into a session, its text there."""
    if not file.is_file():
        typed = "".join(linecache.getlines(str(file)))
        return hashlib.sha256(typed.encode()).hexdigest()[:16] if typed else ""
    file = file.resolve()
    if any(file.is_relative_to(folder) for folder in OURS):
        return ""
    digest = hashlib.sha256()
    for path in sorted({file, *neighbours(file)}):
        digest.update(path.relative_to(file.parent).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def neighbours(file: Path) -> set[Path]:
    """Python files below the file's folder that it imports, directly or through one another."""
    found: set[Path] = set()
    queue = [file]
    while queue:
        for name in imported(queue.pop()):
            path = module_file(file.parent, name)
            if path and path != file and path not in found:
                found.add(path)
                queue.append(path)
    return found


def imported(file: Path) -> Iterator[str]:
    """Dotted names that a file imports, anywhere in it; none for a file that cannot be parsed."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module:
                yield node.module
            yield from (f"{node.module}.{alias.name}" if node.module else alias.name for alias in node.names)


def module_file(folder: Path, name: str) -> Path | None:
    """The file of a module below a folder."""
    base = folder.joinpath(*name.split("."))
    candidates = (base.with_name(base.name + ".py"), base / "__init__.py")
    return next((path.resolve() for path in candidates if path.is_file()), None)


def origin_of(function: Callable[..., Any]) -> str:
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(function)
