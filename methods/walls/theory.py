"""Why Grad-CAM sees through walls: a model small enough for a formula.

One convolution with K filters of 2 × 2 without bias, ReLU, max-pooling, and a linear layer that reads the upper rows of
the pooled map; all weights are Gaussian. Grad-CAM's weight of channel k is α_k = (1/hw) Σ W_kp over the pooled
positions p that the layer reads, for pooling hands each gradient to one position: Gaussian, and independent of the maps
A. So at any position, seen or not,

    E[ReLU(Σ_k α_k A_k)] = σ_α ‖A‖₂ / √(2π),  σ_α = σ_W √n / (hw),

with n positions that are read of maps of h × w: positive wherever a single map is (Taimeskhanov et al. 2024, section
3).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def maps_of(image: Tensor, filters: Tensor) -> Tensor:
    """Image (3, H, W) and filters (K, 3, 2, 2) to the maps (K, H - 1, W - 1) behind the ReLU."""
    result: Tensor = F.conv2d(image[None], filters)[0].relu()
    return result


def expected(maps: Tensor, seen: int, sigma: float = 1.0) -> Tensor:
    """(h, w) E[ReLU(Σ_k α_k A_k)] over the linear layer's weights N(0, σ²), of which those of the upper `seen` rows of
    the pooled map count."""
    _, h, w = maps.shape
    deviation = sigma * math.sqrt(seen * (w // 2)) / (h * w)
    length: Tensor = maps.norm(dim=0)
    return deviation * length / math.sqrt(2 * math.pi)


def simulated(maps: Tensor, seen: int, draws: int, sigma: float = 1.0, seed: int = 0) -> Tensor:
    """(draws, h, w) Grad-CAM at the ReLU for one class, by automatic differentiation of the pooling and of linear
    layers drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(draws):
        leaf = maps.clone().requires_grad_(True)
        pooled = F.max_pool2d(leaf[None], 2)[0, :, :seen]
        weights = sigma * torch.randn(pooled.shape, generator=generator, dtype=maps.dtype)
        (gradient,) = torch.autograd.grad((weights * pooled).sum(), leaf)
        found.append((gradient.mean((1, 2), keepdim=True) * maps).sum(0).relu())
    return torch.stack(found)
