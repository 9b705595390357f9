"""The device that computes: its name, its settings, made once before anything runs, and whether it can be used."""

from __future__ import annotations

import ctypes
import platform

import torch

from bench.core.errors import UsageError

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""Parameters of glibc's mallopt(3)."""


def prepare_process() -> None:
    """Exact float32 and repeatable kernels on a GPU, no page faults for every buffer on a CPU."""
    exact_arithmetic()
    keep_freed_memory()


def exact_arithmetic() -> None:
    """Full float32 in convolutions and products, and always the same kernel: Average Increase counts the last bit."""
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def keep_freed_memory() -> bool:
    """Tell glibc's malloc to serve large blocks from the heap and never to give them back; whether that was possible.

    By default every block above some megabytes is mapped and unmapped, and each forward pass on a CPU pays for zeroed
    pages again. Elsewhere than on Linux with glibc nothing is done.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1) and mallopt(M_TOP_PAD, 64 << 20))


def default_device() -> str:
    """`cuda` where there is a GPU, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def check_device(name: str | None) -> torch.device:
    """The device of that name, the default one for None. Raises UsageError where it cannot be used."""
    text = name or default_device()
    try:
        device = torch.device(text)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        known = ", ".join(["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))])
        raise UsageError(f"--device {text} cannot be used ({reason}); this machine has {known}") from None
    return device


def device_name(device: torch.device) -> str:
    """What a timing is true of: it is never merged across machines."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} on {platform.node()}"
    return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads on {platform.node()}"


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
