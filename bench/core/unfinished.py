"""Names of unfinished files, and the removal of those that a killed process left behind."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import time
from contextlib import suppress
from pathlib import Path

DAY = 24 * 60 * 60
PATTERNS = (".*.tmp", "*/.*.tmp", "views/*/.*.tmp", "views/*/*/.*.tmp")
"""Where a results folder may hold unfinished files."""


def host() -> str:
    """This machine as processes see it: containers of one name number their processes each for itself."""
    space = ""
    with suppress(OSError):
        space = re.sub(r"\D", "", os.readlink("/proc/self/ns/pid"))
    return re.sub(r"[^\w-]", "_", f"{platform.node()}-{space}")


def unfinished(path: Path) -> Path:
    """A name beside `path`, of bounded length, that no other process of any host takes."""
    stem = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    return path.with_name(f".{stem}.{host()}.{os.getpid()}.tmp")


def sweep(folder: Path) -> None:
    """Remove the unfinished files of processes that are no more: dead ones of this host, and whatever is a day old."""
    for pattern in PATTERNS:
        for leftover in folder.glob(pattern):
            with suppress(OSError):
                if abandoned(leftover):
                    leftover.unlink(missing_ok=True)


def abandoned(leftover: Path) -> bool:
    _, _, name = leftover.name.removesuffix(".tmp").partition(".")
    owner, _, process = name.rpartition(".")
    if owner.endswith(f".{host()}") and process.isdecimal():
        return not alive(int(process))
    return time.time() - leftover.lstat().st_mtime > DAY


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
