"""The decoder that inverts a classifier's maps to an image."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
"""Of the leaky ReLU on the negative side."""


class Inverter(nn.Module):
    """Maps (B, K, h, w) to images (B, 3, S, S) in [0, 1].

    Blocks of a transposed convolution that doubles the side and a 3 × 3 convolution, each followed by a normalisation
    and a leaky ReLU, until another doubling would pass S; then a 3 × 3 convolution, bilinear to S, a sigmoid. `width`
    channels in the first two blocks, half as many from block to block after that. The paper's decoder has width 512.
    """

    def __init__(self, channels: int, side: int, size: int, width: int):
        super().__init__()
        self.size = size
        layers: list[nn.Module] = []
        block = 0
        while 2 * side <= size:
            wide = max(8, width >> max(0, block - 1))
            layers += [nn.ConvTranspose2d(channels, wide, 2, 2), nn.BatchNorm2d(wide), nn.LeakyReLU(SLOPE)]
            layers += [nn.Conv2d(wide, wide, 3, padding=1), nn.BatchNorm2d(wide), nn.LeakyReLU(SLOPE)]
            channels, side, block = wide, 2 * side, block + 1
        self.blocks = nn.Sequential(*layers)
        self.last = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        drawn = self.last(self.blocks(maps))
        if drawn.shape[-1] != self.size:
            drawn = F.interpolate(drawn, (self.size, self.size), mode="bilinear", align_corners=False)
        image: Tensor = drawn.sigmoid()
        return image
