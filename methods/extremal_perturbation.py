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
from methods._backgrounds import gaussian
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
    """Masks from cells (B, h, w) in [0, 1], one every STEP pixels: each pixel is the smooth maximum of the cells near
    it, weighted by exp(-2 max(d - ½, 0)²), d their distance in SIGMA. So a mask is 1 about a cell that is, and has no
    detail finer than the weight."""

    def __init__(self, size: tuple[int, int], like: Tensor):
        self.size, self.reach = size, 1 + ceil(SIGMA / STEP)
        self.margin = round(SIGMA)
        self.shape = tuple(ceil(side / STEP) for side in size)
        self.rows, down = self.axis(self.shape[0])
        self.columns, across = self.axis(self.shape[1])
        distance = (down[:, None, :, None] ** 2 + across[None, :, None, :] ** 2).sqrt() / SIGMA
        self.weights = (-2 * (distance - 0.5).clamp(min=0) ** 2).exp().flatten(2).to(like)

    def axis(self, cells: int) -> tuple[Tensor, Tensor]:
        """Along an axis with its margins, a row per pixel: the cell before it, counted from `reach` cells before the
        first one, and its distances (n, 2 reach + 1) from the cells about that one."""
        pixels = torch.arange(STEP * (cells + 2 * self.margin // STEP) - STEP + 1) - self.margin
        before = pixels.div(STEP, rounding_mode="floor")
        around = before[:, None] + torch.arange(-self.reach, self.reach + 1)
        return before + self.margin // STEP, (pixels[:, None] - STEP * around).double()

    def __call__(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Masks (B, H, W), and the same with a margin of SIGMA pixels all around."""
        k = 2 * self.reach + 1
        outside = self.reach + self.margin // STEP
        near = F.unfold(F.pad(cells[:, None], (outside,) * 4), k)
        grid = [side + 2 * (self.margin // STEP) for side in self.shape]
        near = near.view(len(cells), k * k, *grid)[:, :, self.rows][:, :, :, self.columns]
        weighted = near.permute(0, 2, 3, 1) * self.weights
        full = ((weighted * COLDNESS).softmax(-1) * weighted).sum(-1).clamp(0, 1)
        inside = [slice(self.margin, self.margin + side) for side in self.size]
        return full[:, inside[0], inside[1]], full


def pyramid(images: Tensor) -> Tensor:
    """(LEVELS, B, 3, H, W), sigma from 0 to LARGEST; level 0 is the image."""
    sigmas = [LARGEST * i / (LEVELS - 1) for i in range(1, LEVELS)]
    return torch.stack([images, *(gaussian(images, sigma, ceil(3 * sigma), "replicate") for sigma in sigmas)])


def perturbed(levels: Tensor, masks: Tensor) -> Tensor:
    """(B, 3, H, W): each pixel from the level (1 - m) · (LEVELS - 1), linearly between two."""
    at = ((1 - masks) * (LEVELS - 1)).clamp(0, LEVELS - 1)
    low = at.detach().floor().clamp(max=LEVELS - 2).long()
    share = (at - low)[:, None]
    index = low[None, :, None].expand(1, *levels.shape[1:])
    below, blurrier = levels.gather(0, index)[0], levels.gather(0, index + 1)[0]
    return below * (1 - share) + blurrier * share


@explainer("extremal-perturbation", paper="Fong et al. 2019, arXiv 1910.08485", passes=passes, order="up-then-min-max",
           padded=False, uses_layer=False)  # fmt: skip
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
    mask is a smooth maximum over a cell every 7 pixels (width 21), its area that of the mask with a margin of 21
    pixels; a pixel is taken from a pyramid of 8 blurs up to a sigma of 20 pixels. All as in the authors' TorchRay.

    Known failure: the area is the user's choice and not found; a small one cuts an object, a large one takes in what
    is beside it.
    """
    check_targets(classifier, targets)
    size = (images.shape[-2], images.shape[-1])
    smooth, levels = SmoothMask(size, images), pyramid(images)
    total = images.new_zeros(len(images), *size)
    for area in areas_of(areas):
        cells = images.new_ones(len(images), *smooth.shape).requires_grad_()
        pixels = smooth(cells)[1][0].numel()
        wanted = (torch.arange(pixels, device=images.device) >= int(pixels * (1 - area))).to(images)
        sgd = torch.optim.SGD([cells], lr=lr, momentum=0.9, dampening=0.9)
        pressure = PRESSURE
        for step in range(steps):
            masks, full = smooth(cells)
            seen = perturbed(levels, masks)
            reward = of_targets(classifier.logits(seen if step % 2 else seen.flip(3)), targets)
            miss = (full.flatten(1).sort(1).values - wanted).square().mean(1)
            (cells.grad,) = torch.autograd.grad((pressure * miss - reward).sum(), cells)
            sgd.step()
            with torch.no_grad():
                cells.clamp_(0, 1)
            pressure *= GROWTH
        with torch.no_grad():
            total += smooth(cells)[0]
    return total
