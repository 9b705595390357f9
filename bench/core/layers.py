"""Layers of a net: finding one by its path, and seeing its output as maps (B, K, h, w)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.core.registry import suggest


def resolve_layer(net: nn.Module, layer: str) -> str:
    """The module path that `layer` means: `layer4.2`, `layer4[-1]` and `features[-1][-1].block[5]` are all understood.

    Raises UsageError with near names when the net has no such module.
    """
    module, path = net, []
    for part in re.findall(r"[^.\[\]]+", layer):
        children = [name for name, _ in module.named_children()]
        if re.fullmatch(r"-\d+", part) and int(part) >= -len(children):
            part = children[int(part)]
        if part not in children:
            modules = [name for name, _ in net.named_modules() if name]
            raise UsageError(f"no layer {layer!r} in this net; {suggest(layer, modules)}")
        module = module.get_submodule(part)
        path.append(part)
    if not path:
        raise UsageError(f"{layer!r} names no layer; write a module path such as layer4.1")
    return ".".join(path)


@contextmanager
def hooked(module: nn.Module, hook: Callable[..., Any]) -> Iterator[None]:
    """A forward hook that is removed again, also on error."""
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def last_map_layer(net: nn.Module, images: Tensor) -> str:
    """Path of the module that gives the last 4-D output larger than 1 × 1 in a run on `images` (outermost of equals).

    Raises UsageError when no module gives one.
    """
    found: list[str] = []

    def note(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] * output.shape[3] > 1:
                found.append(name)

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in net.named_modules() if name]
    try:
        with torch.inference_mode():
            net(images)
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise UsageError("no module of this net gives a feature map (B, K, h, w); name one with --layer")
    return found[-1]


@dataclass(frozen=True)
class Layout:
    """How a layer's output holds its maps: channels first, channels last, or as tokens after `prefix` others."""

    kind: Literal["channels-first", "channels-last", "tokens"]
    prefix: int = 0
    side: int = 0

    @staticmethod
    def of(output: Any, module: nn.Module, layer: str) -> Layout:
        """Read off an example output, of square images. Raises UsageError when it holds no maps.

        (B, a, a, c) with c ≠ a is channels last; so is any 4-D output of `nn.Linear`. Tokens (B, N, c) are the largest
        square grid that fits, after the prefix (class, distillation, register tokens).
        """
        if not isinstance(output, Tensor):
            raise UsageError(
                f"layer {layer!r} gives a {type(output).__name__}, not a tensor; name another with --layer"
            )
        if output.ndim == 4:
            _, a, b, c = output.shape
            last = (a == b != c) or (isinstance(module, nn.Linear) and not b == c != a)
            return Layout("channels-last" if last else "channels-first")
        if output.ndim == 3:
            side = math.isqrt(output.shape[1])
            return Layout("tokens", output.shape[1] - side * side, side)
        raise UsageError(f"layer {layer!r} gives {tuple(output.shape)}, not maps; name another with --layer")

    def maps(self, output: Tensor) -> Tensor:
        """The maps (B, K, h, w) in the output."""
        found: list[Tensor] = []
        self.through(output, lambda maps: found.append(maps) or maps)  # type: ignore[func-returns-value]
        return found[0]

    def through(self, output: Any, tap: Callable[[Any], Any]) -> Any:
        """The output with its maps (B, K, h, w) replaced by `tap(maps)`; works on tensors and on torch.fx proxies.

        Prefix tokens of one image serve every row of the maps.
        """
        if self.kind == "channels-first":
            return tap(output)
        if self.kind == "channels-last":
            return tap(output.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        prefix, grid = output[:, : self.prefix], output[:, self.prefix :]
        maps = tap(grid.transpose(1, 2).unflatten(2, (self.side, self.side)))
        return torch.cat([prefix, maps.flatten(2).transpose(1, 2)], 1)
