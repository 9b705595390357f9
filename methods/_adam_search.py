"""Adam over one set of variables per image, each image with its own loss, moments and end."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Losses = Callable[[Tensor, Tensor, int], Tensor]
"""(variables of the images that still run (b, …), their indices (b,), the step) to their losses (b,)."""


def minimise(
    losses: Losses, start: Tensor, *, steps: int, lr: float, every: int | None = None, felt: Tensor | None = None,
    joint: bool = False,
) -> Tensor:  # fmt: skip
    """Variables (B, …) after `steps` of Adam from `start`, the images of a batch at once.

    Every `every` steps an image whose loss exceeds that of its previous check ends with the variables of that previous
    check, and is not asked for any more. `joint`: the loss summed over the batch decides for all its images at once,
    which end with the variables of this check. `felt` is multiplied with the gradient.
    """
    u = start.clone().requires_grad_()
    adam = torch.optim.Adam([u], lr=lr)
    final, active = start.clone(), torch.arange(len(start), device=start.device)
    previous, checked = start.new_full((len(start),), torch.inf), start.clone()
    for step in range(steps):
        loss = losses(u[active], active, step)
        (gradient,) = torch.autograd.grad(loss.sum(), u)
        if every and step % every == 0:
            reached = loss.detach().sum().expand_as(loss) if joint else loss.detach()
            last, worse = u.detach()[active], reached > previous
            final[active[worse]] = (last if joint else checked)[worse]
            active, previous, checked = active[~worse], reached[~worse], last[~worse]
            if not len(active):
                return final
        u.grad = gradient if felt is None else gradient * felt
        adam.step()
    final[active] = u.detach()[active]
    return final
