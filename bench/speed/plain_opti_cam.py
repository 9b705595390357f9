"""Opti-CAM as one would write it from the paper: what our version is compared with, since no library has it."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.speed.given import Plain
from bench.speed.ours import finish


def plain_opti_cam(steps: int) -> Callable[[Plain], Tensor]:
    """An image at a time: `steps` of Adam at rate 0.1 from u = 0.5 on −f_c(x · n(up(Σ_k softmax(u)_k ReLU(A_k)))).

    n is min-max. Zhang et al. 2024, arXiv 2301.07002, equations 6 to 12, without early stop.
    """

    def run(plain: Plain) -> Tensor:
        one_by_one = zip(plain.images.split(1), plain.targets, strict=True)
        return finish(torch.cat([optimise(plain, image, target, steps) for image, target in one_by_one]), plain.size)

    return run


def optimise(plain: Plain, image: Tensor, target: int, steps: int) -> Tensor:
    """(1, h, w) map of a normalised image (1, 3, S, S); black stands where its mask is 0."""
    A = maps_of(plain.net, plain.target_layer, image).relu()
    u = torch.full((1, A.shape[1], 1, 1), 0.5, dtype=A.dtype, device=A.device, requires_grad=True)
    adam = torch.optim.Adam([u], lr=0.1)
    for _ in range(steps):
        S = F.interpolate((u.softmax(1) * A).sum(1, keepdim=True), image.shape[-2:], mode="bilinear")
        mask = (S - S.min()) / (S.max() - S.min() + 1e-8)
        loss = -plain.net(plain.black + mask * (image - plain.black))[0, target]
        adam.zero_grad()
        loss.backward()
        adam.step()
    plain.net.zero_grad()
    return (u.softmax(1) * A).sum(1).detach()


def maps_of(net: nn.Module, layer: nn.Module, image: Tensor) -> Tensor:
    found: list[Tensor] = []
    handle = layer.register_forward_hook(lambda module, inputs, output: found.append(output.detach().clone()))
    with torch.no_grad():
        net(image)
    handle.remove()
    return found[0]
