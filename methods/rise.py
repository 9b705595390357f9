"""RISE: the mean of random masks, weighted by what the network says of the masked image."""

from __future__ import annotations

from math import ceil
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import Passes, explainer
from bench.core.perturb import fill
from bench.core.ranges import within
from methods._common import Chunk, check_targets, of_targets

Background = Literal["mean", "black"]
Statistic = Literal["mean", "standard-error"]


def passes(classifier: Classifier, *, samples: int = 4000, **_: object) -> Passes:
    return Passes(samples)


def masks_of(cells: Tensor, shifts: Tensor, size: tuple[int, int]) -> Tensor:
    """(n, H, W) masks in [0, 1]: cells (n, s, s) of 0 and 1, upsampled bilinearly to s + 1 cells of the image, and cut
    out at shifts (n, 2) of 0 to a cell less one pixel.

    The reference enlarges s cells to (s + 1) times the cell's pixels, so that a mask covers the image wherever it is
    cut.
    """
    count, s = cells.shape[:2]
    cell = [ceil(side / s) for side in size]
    large = F.interpolate(cells[:, None], [(s + 1) * side for side in cell], mode="bilinear", align_corners=False)[:, 0]
    rows, columns = (
        start[:, None] + torch.arange(side, device=cells.device) for start, side in zip(shifts.T, size, strict=True)
    )
    return large[torch.arange(count, device=cells.device)[:, None, None], rows[:, :, None], columns[:, None, :]]


@explainer("rise", paper="Petsiuk et al. 2018, arXiv 1806.07421", passes=passes, order="up-then-min-max",
           padded=False, uses_layer=False)  # fmt: skip
@torch.no_grad()
def rise(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    *,
    samples: Annotated[int, within(2, 1_000_000)] = 4000,
    grid: Annotated[int, within(1, 64)] = 7,
    keep: Annotated[float, within(0.01, 1)] = 0.5,
    background: Background = "mean",
    statistic: Statistic = "mean",
    mask_seed: Annotated[int, within(0, 2**31)] = 0,
    chunk: Chunk = 64,
) -> Tensor:
    """S = 1/(N keep) Σ_i p_c(x seen through M_i) M_i, (B, H, W), over `samples` random masks M_i.

    A mask is a `grid` × `grid` of cells, each shown with probability `keep`, upsampled bilinearly and shifted by a part
    of a cell. Where it hides, the mean colour stands, as in the reference, which masks the normalised image. The paper
    takes 4000 masks for VGG16 and 8000 for ResNet-50. The masks are drawn from `mask_seed` once for all images.

    `statistic=standard-error` gives the standard error of S at each pixel in place of S: √(variance of
    p_c(x seen through M) M / keep over the masks, by N).

    Known failure: it is noise until N is in the thousands; all pixels that often are shown together share the credit.
    """
    check_targets(classifier, targets)
    generator = torch.Generator().manual_seed(mask_seed)
    size = (images.shape[-2], images.shape[-1])
    behind = fill(images[0], background, classifier.mean)
    mean = images.new_zeros(images.shape[0], *size, dtype=torch.float64)
    spread = torch.zeros_like(mean)
    cells = torch.rand(samples, grid, grid, generator=generator) < keep
    shifts = torch.stack([torch.randint(ceil(side / grid), (samples,), generator=generator) for side in size], 1)
    seen = 0
    for some, moved in zip(cells.split(chunk), shifts.split(chunk), strict=True):
        count, masks = len(some), masks_of(some.to(images), moved.to(images.device), size)
        for i, (image, target) in enumerate(zip(images, targets, strict=True)):
            logits = classifier.logits(torch.addcmul(behind, masks[:, None], image - behind))
            p = of_targets(classifier.output.log_probabilities(logits), target.expand(count)).exp()
            values = (p[:, None, None] * masks / keep).double()
            # the running mean and sum of squared deviations of Chan et al. 1979, chunk by chunk
            here = values.mean(0)
            change = here - mean[i]
            spread[i] += (values - here).square().sum(0) + change.square() * seen * count / (seen + count)
            mean[i] += change * count / (seen + count)
        seen += count
    result = mean if statistic == "mean" else (spread / (samples - 1) / samples).sqrt()
    return result.to(images)
