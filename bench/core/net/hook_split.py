"""Nets seen and split by hooks: what a layer gives, and the split of nets that torch.fx cannot follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.core.net.layers import Layout, hooked

Tap = Callable[[Tensor], Tensor]


class HookSplit(nn.Module):
    """`head(*trunk(x)) == net(x)`: the head runs the whole net on the images, which `rest` carries, with the layer's
    output, in the layer's last call, replaced by the maps.

    Right for data-dependent control flow, but a head costs a full pass.
    """

    def __init__(self, net: nn.Module, layer: str, layout: Layout, calls: int):
        super().__init__()
        self.net = net
        self.layer = layer
        self.layout = layout
        self.calls = calls

    def trunk(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        (maps,), _ = run_tapped([self], x)
        return maps, (x,)

    def head(self, maps: Tensor, rest: Sequence[Tensor]) -> Tensor:
        (x,) = rest
        result: Tensor = self(x.expand(maps.shape[0], *x.shape[1:]), lambda _: maps.clone())
        return result

    def forward(self, x: Tensor, tap: Tap | None = None) -> Tensor:
        with self.replacing(tap) if tap else nullcontext():
            result: Tensor = self.net(x)
        return result

    def replacing(self, tap: Tap) -> Any:
        """A context in which the layer's maps are replaced by `tap(maps)`."""
        left = self.calls

        def replace(module: nn.Module, inputs: Any, output: Tensor) -> Any:
            nonlocal left
            left -= 1
            return self.layout.through(output, tap) if left == 0 else None

        return hooked(self.net.get_submodule(self.layer), replace)


def observe(
    net: nn.Module, layers: Sequence[str], x: Tensor, prefix: int | None = None
) -> tuple[list[HookSplit], list[Tensor], Any]:
    """One run of the untouched net: a split by hooks for each layer, its maps, and what the net returns; `prefix` as in
    `Layout.of`.

    Raises UsageError for a layer that does not run or gives no maps.
    """
    outputs: dict[str, list[Any]] = {layer: [] for layer in layers}

    def keep(layer: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            outputs[layer].append(output.clone() if isinstance(output, Tensor) else output)

        return hook

    with torch.no_grad(), ExitStack() as stack:
        for layer in outputs:
            stack.enter_context(hooked(net.get_submodule(layer), keep(layer)))
        result = net(x)
    splits, maps = [], []
    for layer in layers:
        if not outputs[layer]:
            raise UsageError(f"layer {layer!r} does not run when the net classifies; name another with --layer")
        layout = Layout.of(outputs[layer][-1], net.get_submodule(layer), layer, x.shape[-1], prefix)
        splits.append(HookSplit(net, layer, layout, len(outputs[layer])))
        maps.append(layout.maps(outputs[layer][-1]))
    return splits, maps, result


def run_tapped(splits: Sequence[HookSplit], x: Tensor) -> tuple[list[Tensor], Tensor]:
    """([maps of each split's layer], logits computed from those maps), in one pass of the net."""
    maps: dict[int, Tensor] = {}

    def keep(position: int) -> Tap:
        def tap(found: Tensor) -> Tensor:
            maps[position] = found.clone()
            return maps[position].clone()  # the net may continue in place

        return tap

    with ExitStack() as stack:
        for position, split in enumerate(splits):
            stack.enter_context(split.replacing(keep(position)))
        logits = splits[0].net(x)
    return [maps[position] for position in range(len(splits))], logits
