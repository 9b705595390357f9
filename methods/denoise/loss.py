"""How far a gradient is from that of guided backpropagation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Guide:
    """While `on`, every ReLU lets back what is positive of the gradient that it receives: guided backpropagation
    (Springenberg et al. 2015, arXiv 1412.6806)."""

    def __init__(self) -> None:
        self.on = False

    def watch(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.requires_grad:
            output.register_hook(lambda gradient: gradient.clamp(min=0) if self.on else gradient)


@contextmanager
def guided(net: nn.Module) -> Iterator[Guide]:
    """A guide of the passes that are made inside; the net is left as it was."""
    guide = Guide()
    hooks = [m.register_forward_hook(guide.watch) for m in net.modules() if isinstance(m, nn.ReLU | nn.ReLU6)]
    try:
        yield guide
    finally:
        for hook in hooks:
            hook.remove()


def gradients(net: nn.Module, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(cross-entropy (B,), its gradient by x (B, 3, H, W), which can be differentiated, and by guided backpropagation,
    detached)."""
    x = x.detach().requires_grad_(True)
    with guided(net) as guide:
        losses = F.cross_entropy(net(x), labels, reduction="none")
        guide.on = True
        (wanted,) = torch.autograd.grad(losses.sum(), x, retain_graph=True)
        guide.on = False
        (own,) = torch.autograd.grad(losses.sum(), x, create_graph=True)
    return losses, own, wanted


def cosine(own: Tensor, wanted: Tensor) -> Tensor:
    """1 - cos."""
    return 1 - F.cosine_similarity(own.flatten(1), wanted.flatten(1))


def mae(own: Tensor, wanted: Tensor) -> Tensor:
    return (own - wanted).abs().flatten(1).mean(1)


def mse(own: Tensor, wanted: Tensor) -> Tensor:
    return (own - wanted).square().flatten(1).mean(1)


def histogram(own: Tensor, wanted: Tensor) -> Tensor:
    """1 - Σ_i min(p_i, q_i), p and q the magnitudes, each divided by their sum."""
    p, q = (g.flatten(1).abs() / g.flatten(1).abs().sum(1, keepdim=True).clamp(min=1e-20) for g in (own, wanted))
    return 1 - torch.minimum(p, q).sum(1)


ERRORS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cosine": cosine, "mae": mae, "mse": mse, "histogram": histogram,
}  # fmt: skip
"""E of two gradients (B, 3, H, W), per image (B,)."""
