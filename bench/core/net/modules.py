"""A classifier as one `nn.Module`, for code that wants modules: images in [0, 1] to logits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.core.net.sharing import SharedTrunkResult

Through = Callable[[Tensor], Tensor]


class LogitsModule(nn.Module):
    """`leave(net(enter(images)))`: `enter` counts and normalises images, `leave` makes logits of the net's answers."""

    def __init__(self, net: nn.Module, enter: Through, leave: Through):
        super().__init__()
        self.net = net
        self.enter, self.leave = enter, leave

    def forward(self, images: Tensor) -> Tensor:
        return self.leave(self.net(self.enter(images)))


class TappedModule(LogitsModule):
    """A split net, whose `tap` passes the maps A on: what libraries hook.

    Where gradients are on and A has none, A starts a graph, so that a hook at the tap always sees a gradient. `trunk`
    and `head` are those of a split by graph; without them the net runs as a whole.
    """

    def __init__(
        self,
        net: nn.Module,
        enter: Through,
        leave: Through,
        trunk: Callable[[Tensor], SharedTrunkResult] | None,
        head: Callable[[Tensor, tuple[Tensor, ...]], Tensor],
    ):
        super().__init__(net, enter, leave)
        self.trunk, self.head = trunk, head
        self.tap = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        if self.trunk is None:
            return self.leave(self.net(self.enter(images), self._tapped))
        A, rest = self.trunk(images)
        return self.leave(self.head(self._tapped(A), rest))

    def _tapped(self, maps: Tensor) -> Tensor:
        if torch.is_grad_enabled() and not maps.requires_grad:
            maps = maps.detach().requires_grad_()
        tapped: Tensor = self.tap(maps)
        return tapped
