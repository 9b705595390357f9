"""Extremal Perturbation: of all smooth masks of a given area the one that keeps the class best."""

from __future__ import annotations

from math import ceil
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from bench.core.explainer import Passes, explainer
from bench.core.ranges import above, within
from methods._common import check_targets, of_targets

STEP, SIGMA, COLDNESS = 7, 21.0, 20.0
"""Pixels of a cell of the mask's grid, width of the smooth maximum in pixels, and its softmax's inverse temperature."""
LEVELS, LARGEST = 8, 20.0
"""Images of the blur pyramid and the last one's sigma in pixels."""
PRESSURE, GROWTH = 300.0, 1.0035
"""Weight of the area at the first step, and its factor from step to step."""


def areas_of(text: str) -> list[float]:
    """`0.1` or `0.025+0.05+0.1`. Raises UsageError for a share outside ]0, 1[."""
    try:
        found = [float(part) for part in text.split("+")]
    except ValueError:
        found = []
    if not found or not all(0 < area < 1 for area in found):
        raise UsageError(f"extremal-perturbation: areas={text!r} must be shares between 0 and 1, as 0.05+0.1+0.2")
    return found


def passes(classifier: Classifier, *, areas: str = "0.1", steps: int = 800, **_: object) -> Passes:
    total = steps * len(areas_of(areas))
    return Passes(total, total)


class SmoothMask:
    """Masks (B, H, W) from cells (B, h, w): each pixel is the smooth maximum of the cells near it, weighted by a
    Gaussian bump, so that a mask has no detail finer than the bump and reaches 1 where a cell does."""

    def __init__(self, size: tuple[int, int], like: Tensor):
        self.size = size
        self.shape = tuple(ceil(side / STEP) for side in size)
        reach = ceil(SIGMA / STEP) + 1  # the bump ends within so many cells
        self.reach = reach
        offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
        pieces = []
        for side, cells in zip(size, self.shape, strict=True):
            pixel = (torch.arange(side, dtype=torch.float64) + 0.5) / STEP - 0.5
            nearest = pixel.round().clamp(0, cells - 1)
            away = (nearest[:, None] + offsets - pixel[:, None]) * STEP
            pieces.append((nearest.long(), away))
        (self.row, down), (self.column, across) = pieces
        distance = torch.sqrt(down[:, None, :, None] ** 2 + across[None, :, None, :] ** 2)
        inside = (distance < SIGMA).double()
        bump = inside * torch.exp(-0.5 * (distance / (SIGMA / 2)) ** 2)
        self.bump = (bump / bump.amax((2, 3), keepdim=True)).flatten(2).to(like)

    def __call__(self, cells: Tensor) -> Tensor:
        k = 2 * self.reach + 1
        near = F.unfold(F.pad(cells[:, None], (self.reach,) * 4, mode="replicate"), k)
        near = near.view(len(cells), k * k, *self.shape)[:, :, self.row][:, :, :, self.column]
        weighted = near.permute(0, 2, 3, 1) * self.bump
        return ((weighted * COLDNESS).softmax(-1) * weighted).sum(-1)


def pyramid(images: Tensor) -> Tensor:
    """(LEVELS, B, 3, H, W), sigma from 0 to LARGEST; level 0 is the image."""
    levels = [images]
    for i in range(1, LEVELS):
        sigma = LARGEST * i / (LEVELS - 1)
        reach = min(ceil(3 * sigma), min(images.shape[-2:]) - 1)
        weights = torch.exp(-(torch.arange(-reach, reach + 1) / sigma).square() / 2).to(images)
        weights = weights / weights.sum()
        flat = F.pad(images.flatten(0, 1)[:, None], (reach,) * 4, mode="replicate")
        rows = F.conv2d(flat, weights[None, None, :, None])
        levels.append(F.conv2d(rows, weights[None, None, None, :]).view_as(images))
    return torch.stack(levels)


def perturbed(levels: Tensor, masks: Tensor) -> Tensor:
    """(B, 3, H, W): each pixel from the level (1 - m) · (LEVELS - 1), linearly between two."""
    at = ((1 - masks) * (LEVELS - 1)).clamp(0, LEVELS - 1)
    low = at.detach().floor().clamp(max=LEVELS - 2).long()
    share = (at - low)[:, None]
    index = low[None, :, None].expand(1, *levels.shape[1:])
    below, above_ = levels.gather(0, index)[0], levels.gather(0, index + 1)[0]
    return below * (1 - share) + above_ * share


@explainer("extremal-perturbation", paper="Fong et al. 2019, arXiv 1910.08485", passes=passes, order="up-then-min-max",
           quick="steps=20", padded=False, uses_layer=False)  # fmt: skip
def extremal_perturbation(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    *,
    areas: str = "0.1",
    steps: Annotated[int, within(1, 10_000)] = 800,
    lr: Annotated[float, above(0, 100)] = 0.01,
) -> Tensor:
    """S = Σ_a m_a, m_a (H, W) in [0, 1] the smooth mask that maximises

        f_c(x blurred by 1 - m) - λ_t mean_i (sort(m)_i - r_a,i)²,

    r_a a vector with a share a of ones and zeros else; λ starts at 300 and grows by 1.0035 a step. `steps` of SGD
    (momentum and dampening 0.9) from a full mask, every second one on the mirrored image; `areas` as 0.05+0.1+0.2. A
    mask is a smooth maximum over a grid of cells of 7 pixels (reach 21); a pixel is taken from a pyramid of 8 blurs up
    to a sigma of 20 pixels. The numbers are those of the authors' TorchRay.

    Known failure: the area is the user's choice and not found; a small one cuts an object, a large one takes in what
    is beside it.
    """
    check_targets(classifier, targets)
    size = (images.shape[-2], images.shape[-1])
    smooth, levels = SmoothMask(size, images), pyramid(images)
    total = images.new_zeros(len(images), *size)
    pixels = size[0] * size[1]
    for area in areas_of(areas):
        wanted = (torch.arange(pixels, device=images.device) >= pixels - round(area * pixels)).to(images)
        cells = images.new_ones(len(images), *smooth.shape).requires_grad_()
        sgd = torch.optim.SGD([cells], lr=lr, momentum=0.9, dampening=0.9)
        pressure = PRESSURE
        for step in range(steps):
            masks = smooth(cells)
            seen = perturbed(levels, masks)
            reward = of_targets(classifier.logits(seen.flip(3) if step % 2 else seen), targets)
            miss = (masks.flatten(1).sort(1).values - wanted).square().mean(1)
            (cells.grad,) = torch.autograd.grad((pressure * miss - reward).sum(), cells)
            sgd.step()
            with torch.no_grad():
                cells.clamp_(0, 1)
            pressure *= GROWTH
        with torch.no_grad():
            total += smooth(cells)
    return total
