"""Paths as a user writes them."""

from __future__ import annotations

from pathlib import Path

from bench.core.errors import UsageError


def user_path(text: str | Path) -> Path:
    """The path, with `~` replaced by the home folder. Raises UsageError for an empty one and an unknown home."""
    if not str(text).strip():
        raise UsageError("a path is empty; write . for the folder in which you are")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UsageError(f"{text}: nobody of this name has a home folder; write the whole path") from None
