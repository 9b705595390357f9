"""The names that a training program puts before a net's own: taken away where what is left are the net's names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from torch import Tensor

from bench.core.errors import UsageError

WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Names of DataParallel, torch.compile, FSDP and checkpointing, which may stand before any part of a name."""
AVERAGED = re.compile(r"(^|[._])(ema|swa|averaged|teacher|target|momentum)[._]")
"""Prefixes of a copy beside the net."""
COUNTERS = re.compile(r"(^|\.)(total_ops|total_params|n_averaged|num_batches_tracked|_extra_state)$")
"""What profilers and averaging leave among a net's buffers; the net does not need it."""
DEPTH = 4
"""Parts that a prefix has at most."""


def own_names(state: Mapping[str, Tensor], own: Collection[str], source: str) -> tuple[dict[str, Tensor], str]:
    """The state under a net's own names, and a remark on what was left out, "" for nothing.

    Removed are wrappers wherever they stand, and one prefix, such as Lightning's `model.`, under which all names of the
    net are found; what does not carry it (weights of a loss, another net) is left out. Where a moving average lies
    beside the net it is left out. Raises UsageError where several prefixes would do. Names that fit under no prefix
    come under the most likely one.
    """
    renamed = {modern(key, own): value for key, value in state.items()}
    given = {key: value for key, value in renamed.items() if key in own or not COUNTERS.search(key)}
    needed = {key for key in own if not COUNTERS.search(key)}
    if needed <= given.keys():
        return given, ""
    prefixes = candidates(given, needed)
    fitting = [prefix for prefix in prefixes if all(prefix + key in given for key in needed)]
    chosen = [prefix for prefix in fitting if not AVERAGED.search(prefix)] or fitting
    if len(chosen) > 1:
        raise UsageError(f"{source} holds several nets that would fit ({', '.join(chosen)}); save one of them alone")
    prefix = chosen[0] if chosen else max(prefixes, key=lambda p: matches(p, given, needed), default="")
    if not chosen and matches(prefix, given, needed) <= len(needed & given.keys()):
        return given, ""
    inside = {key.removeprefix(prefix): value for key, value in given.items() if key.startswith(prefix)}
    outside = [key for key in given if not key.startswith(prefix)]
    if not outside:
        return inside, ""
    shown = ", ".join(outside[:2]) + (f" and {len(outside) - 2} more" if len(outside) > 2 else "")
    return inside, f"weights under '{prefix}'; left out: {shown}"


def modern(key: str, own: Collection[str]) -> str:
    """A name without wrappers, and as torchvision's DenseNets have it now (`norm1.` for `norm.1.`)."""
    if key in own:
        return key
    parts = [part for part in key.split(".") if part not in WRAPPERS]
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)\.", r"\1\2.", ".".join(parts))


def candidates(given: Iterable[str], needed: Collection[str]) -> list[str]:
    """Beginnings of names, cut at a dot, after which a name of the net follows; the most frequent first."""
    found: Counter[str] = Counter()
    for key in given:
        parts = key.split(".")
        for depth in range(1, min(DEPTH, len(parts) - 1) + 1):
            if ".".join(parts[depth:]) in needed:
                found[".".join(parts[:depth]) + "."] += 1
    return [prefix for prefix, _ in found.most_common()]


def matches(prefix: str, given: Collection[str], needed: Collection[str]) -> int:
    return sum(prefix + key in given for key in needed)
