"""The sign of a principal component, which a decomposition leaves open."""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDING = 1e-5


def turned(components: Tensor, like: Tensor, size: Tensor) -> Tensor:
    """Components (B, h, w) with the sign under which they correlate positively with maps (B, h, w) or, where that is
    lost in the rounding of values of a norm `size` (B,), under which the largest magnitude is positive."""
    varied = components - components.mean((1, 2), keepdim=True)
    agreement = (varied * like).sum((1, 2))
    rounding = ROUNDING * torch.linalg.vector_norm(varied, dim=(1, 2)) * size
    sign = torch.where(agreement.abs() > rounding, agreement, components.amax((1, 2)) + components.amin((1, 2)))
    return torch.where(sign[:, None, None] < 0, -components, components)
