"""The arithmetic of the scoring forward pass: dtype, memory layout, compilation."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Precision:
    """How `Classifier.score` computes. Classes are chosen and saliency maps computed in the net's own dtype and layout
    whatever it says, so that all precisions score the same maps."""

    dtype: torch.dtype = torch.float32
    """Of all layers but the last, which stays in the net's own: logits rounded to 8 bits would move p by percents."""
    channels_last: bool = False
    compiled: bool = False

    def __str__(self) -> str:
        switches = {"channels-last": self.channels_last, "compiled": self.compiled}
        return "-".join([str(self.dtype).removeprefix("torch."), *(name for name, on in switches.items() if on)])

    @property
    def layout(self) -> torch.memory_format:
        """Of batches of images."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def recast(self, net: nn.Module, last: nn.Module) -> nn.Module:
        """`net` at this precision but for its layer `last`: a twin that shares every module's code, and every tensor
        that needs no change. The twin takes and returns tensors of the dtype of `net`."""
        own = next(last.parameters()).dtype
        memo: dict[int, object] = {id(tensor): tensor for tensor in last.parameters()}
        if self.dtype != own:
            memo[id(last)] = Widened(last, own)
        for tensor in [*net.parameters(), *net.buffers()]:
            if id(tensor) not in memo:
                changed = self.convert(tensor)
                memo[id(tensor)] = nn.Parameter(changed, False) if isinstance(tensor, nn.Parameter) else changed
        twin = copy.deepcopy(net, memo)
        if self.compiled:
            twin.compile(dynamic=False)
        return twin

    def convert(self, tensor: Tensor) -> Tensor:
        """A tensor of a net, or a batch of images, in this dtype and layout; itself where nothing changes."""
        dtype = self.dtype if tensor.is_floating_point() else tensor.dtype
        return tensor.to(dtype, memory_format=self.layout if tensor.ndim == 4 else torch.preserve_format)


class Widened(nn.Module):
    """A layer in `dtype` behind layers of a lower one."""

    def __init__(self, layer: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.layer = layer
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(x.to(self.dtype))
        return result
