"""How a mask is looked at while it is optimised: shifted, flipped, before other backgrounds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from methods._backgrounds import BACKGROUNDS

CYCLE = ("black", "mean", "blur", "blur-55-11")


@dataclass(frozen=True)
class Variation:
    """x · m + b · (1 - m), then flipped and shifted at random: by the step alone, so alike for every image."""

    shifts: int = 0
    """Most pixels by which the image moves along each axis; what comes in is mirrored."""
    flips: bool = False
    """Whether half of the steps see the mirror image."""
    backgrounds: bool = False
    """Whether b is one of black, the mean colour and two blurs; else black."""

    @property
    def still(self) -> bool:
        """Whether all steps see the same, so that their losses can be compared."""
        return self == Variation()

    def __call__(self, images: Tensor, masks: Tensor, mean: Tensor, step: int) -> Tensor:
        """Images (B, 3, S, S) through masks (B, S, S) as a step sees them; `mean` (3,) is the network's mean colour."""
        generator = torch.Generator().manual_seed(step)
        background, flipped = (int(torch.randint(n, (), generator=generator)) for n in (len(CYCLE), 2))
        x = images * masks[:, None]
        if self.backgrounds:
            x = x + BACKGROUNDS[CYCLE[background]](images, mean, generator) * (1 - masks[:, None])
        if self.flips and flipped:
            x = x.flip(3)
        if self.shifts:
            down, right = torch.randint(2 * self.shifts + 1, (2,), generator=generator).tolist()
            height, width = x.shape[-2:]
            x = F.pad(x, (self.shifts,) * 4, mode="reflect")[:, :, down : down + height, right : right + width]
        return x
