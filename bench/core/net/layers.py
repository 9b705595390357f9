"""Layers of a net: finding one by its path, and seeing its output as maps (B, K, h, w)."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError, suggest


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
        raise UsageError(
            "no module of this net gives a feature map (B, K, h, w) larger than 1 × 1; name a layer of tokens "
            "(B, N, K) or of maps with --layer, or make its last map operation a module"
        )
    return found[-1]


MOST_PREFIX = 5
"""A class token and four registers: more are not assumed without the net's word for it."""


def stated_prefix(net: nn.Module) -> int | None:
    """How many tokens a transformer puts before its patches: timm's `num_prefix_tokens`, torchvision's class token;
    None where the net does not say."""
    for module in net.modules():
        count = getattr(module, "num_prefix_tokens", None)
        if isinstance(count, int):
            return count
        if is_vision_transformer(module):
            return 1
    return None


def token_grid(tokens: int, layer: str, size: int, prefix: int | None) -> tuple[int, int]:
    """(tokens before the patches, side of the square grid of patches).

    A net's own count decides, or 0 where the layer has no such tokens. Without a count the largest square is taken if
    its side divides the image's and few tokens are left over. Raises UsageError where that is not so.
    """
    if prefix is not None:
        for before in (prefix, 0):
            side = math.isqrt(max(0, tokens - before))
            if side and side * side == tokens - before:
                return before, side
        raise UsageError(
            f"layer {layer!r} gives {tokens} tokens, which are no square grid after {prefix} others; "
            "state the right prefix_tokens of the net, or name another layer with --layer"
        )
    side = math.isqrt(tokens)
    before = tokens - side * side
    if size % side or before > MOST_PREFIX:
        raise UsageError(
            f"layer {layer!r} gives {tokens} tokens, and the net does not say how many of them are no patches; "
            "give it an attribute prefix_tokens (1 for a class token)"
        )
    return before, side


@dataclass(frozen=True)
class Layout:
    """How a layer's output holds its maps: channels first, channels last, or as tokens after `prefix` others."""

    kind: Literal["channels-first", "channels-last", "tokens"]
    prefix: int = 0
    side: int = 0

    @staticmethod
    def of(output: Any, module: nn.Module, layer: str, size: int, prefix: int | None = None) -> Layout:
        """Read off an example output, of square images of `size` pixels. Raises UsageError when it holds no maps.

        (B, a, a, c) with c ≠ a is channels last; so is any 4-D output of `nn.Linear`. Tokens (B, N, c) are a square
        grid of patches after `prefix` others (class, distillation, register tokens), where the net says how many.
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
            return Layout("tokens", *token_grid(output.shape[1], layer, size, prefix))
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


def is_vision_transformer(module: nn.Module) -> bool:
    """Whether it is torchvision's VisionTransformer; torchvision is not imported to know that it is not."""
    library = sys.modules.get("torchvision.models.vision_transformer")
    return library is not None and isinstance(module, library.VisionTransformer)
