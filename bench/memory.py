"""Keep freed memory in the process, so that the large buffers of a forward pass are not mapped anew each time."""

from __future__ import annotations

import ctypes
import platform

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""Parameters of glibc's mallopt(3)."""


def keep_freed_memory() -> bool:
    """Tell glibc's malloc to serve large blocks from the heap and never to give them back; whether that was possible.

    By default every block above some megabytes is mapped and unmapped, and each forward pass on a CPU pays for zeroed
    pages again. Elsewhere than on Linux with glibc nothing is done.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1) and mallopt(M_TOP_PAD, 64 << 20))
