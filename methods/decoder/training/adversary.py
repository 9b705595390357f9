"""Experimental: a discriminator that tells masked images from real ones, so that maps leave natural images."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

WIDTHS = (16, 32, 64, 128)


class Adversary:
    """Hinge game: the decoder raises D(masked), the discriminator D lowers it and raises D(real).

    D is four strided convolutions with leaky ReLU and one linear layer, spectrally normalised (Miyato et al. 2018,
    arXiv 1802.05957), trained by an Adam of its own, once per step.
    """

    def __init__(self, device: torch.device, lr: float = 2e-4):
        layers: list[nn.Module] = []
        for narrow, wide in zip((3, *WIDTHS), WIDTHS, strict=False):
            layers += [spectral_norm(nn.Conv2d(narrow, wide, 4, 2, 1)), nn.LeakyReLU(0.2)]
        head = spectral_norm(nn.Linear(WIDTHS[-1], 1))
        self.net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).to(device)
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr, betas=(0.5, 0.999))

    def verdict(self, masked: Tensor) -> Tensor:
        """(B,) −D(masked), what the decoder pays; no gradient for D."""
        self.net.requires_grad_(False)
        result: Tensor = -self.net(2 * masked - 1)[:, 0]
        return result

    def learn(self, real: Tensor, masked: Tensor) -> float:
        """One step on max(0, 1 − D(real)) + max(0, 1 + D(masked)), images in [0, 1] without graph; the loss."""
        self.net.requires_grad_(True)
        judged = self.net(2 * torch.cat([real, masked]) - 1)[:, 0]
        loss = (1 - judged[: len(real)]).relu().mean() + (1 + judged[len(real) :]).relu().mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        result: float = loss.item()
        return result
