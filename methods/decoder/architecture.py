"""The decoder: from a classifier's feature maps to a saliency map of the image's size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Conditioning = Literal["none", "cam", "gradient", "selector"]
Evidence = Literal["logit", "log-odds"]

GROUPS = 8
"""Groups of a normalisation, and the fewest channels of a stage."""
FLOOR = 0.05
"""Where the CAM is 0 and 1, the untrained residual decoder draws FLOOR and 1 - FLOOR, so that gradients flow there."""
EPS = 1e-8


@dataclass(frozen=True)
class DecoderConfig:
    """Everything that fixes a decoder's shape."""

    layers: tuple[str, ...]
    """The classifier's target layer, then further layers, whose maps come in where the decoder has their size."""
    channels: tuple[int, ...]
    sides: tuple[int, ...]
    """Channels and side of each layer's maps."""
    input_size: int
    num_classes: int
    stages: int
    """Upsampling blocks, each doubling the side; from there to the input size it is bilinear."""
    width: int = 128
    """Channels before the first block; every block halves them."""
    mixing: int = 0
    """Residual 3 × 3 blocks before the first upsampling, where one position learns of the others."""
    conditioning: Conditioning = "cam"
    """How the target class comes in. `none`: not at all. `cam`: the target layer's maps times their weights for the
    class, the class row of a linear head after global pooling or else as `gradient`. `gradient`: times the Grad-CAM
    weights. `selector`: all maps times sigmoid(Σ_k e_k A_k), e a learned vector per class (RTIS, Dabkowski & Gal 2017).
    """
    residual: bool = True
    """Add to the upsampled CAM instead of drawing alone: untrained, the decoder draws the CAM."""
    evidence: Evidence = "logit"
    """What class weights are evidence for. `logit`: f_c. `log-odds`: f_c − log Σ_{j≠c} exp f_j = log p_c/(1 − p_c),
    so that the class row W_c becomes W_c − Σ_{j≠c} q_j W_j, q the softmax over the other classes: what speaks for a
    rival counts against."""
    normalised: bool = True
    """Whether the mask of the training is the min-max of the map, as protocols show it, or the map itself."""

    @property
    def weighted(self) -> bool:
        """Whether the class weights of the target layer's maps are needed."""
        return self.residual or self.conditioning in ("cam", "gradient")

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> DecoderConfig:
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        return cls(**values)


class Reading(NamedTuple):
    """What one pass of the classifier gives a decoder."""

    maps: tuple[Tensor, ...]
    """(B, K_i, h_i, w_i) of each layer of the configuration."""
    logits: Tensor
    """(B, C)."""
    targets: Tensor
    """(B,) class indices."""
    weights: Tensor | None = None
    """(B, K_0) weights of the target layer's maps for the class, where the configuration is `weighted`."""


class Decoder(nn.Module):
    """1 × 1 convolution to `width`, blocks of ConvTranspose2d(4, stride 2, padding 1) that double the side and halve
    the channels, 3 × 3 convolution to one logit, bilinear to the image, sigmoid. Without blocks the map is drawn at the
    side of the target layer's maps and resized by fixed weights: it has no texture to fool a network with.

    A further layer's maps come in by a 1 × 1 convolution and are added at the first stage at least as large, resized to
    it. Normalisation is by groups, not by batch: batches are small, and the map of an image must not depend on its
    batch-mates. With `residual` the last convolution starts at 0 and its logit is added to scale · logit(p), p the CAM
    relu(Σ_k w_k A_k), bilinear to the image, from its minimum to its maximum, squeezed into [FLOOR, 1 - FLOOR].
    """

    def __init__(self, config: DecoderConfig):
        super().__init__()
        self.config = config
        widths = [max(config.width >> stage, GROUPS) for stage in range(config.stages + 1)]
        reached = [config.sides[0] << stage for stage in range(config.stages + 1)]
        self.stage_of = [0, *(first_at_least(side, reached) for side in config.sides[1:])]
        self.entries = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, widths[stage], 1, bias=False), group_norm(widths[stage]))
            for channels, stage in zip(config.channels, self.stage_of, strict=True)
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False), group_norm(narrow))
            for wide, narrow in zip(widths, widths[1:], strict=False)
        )
        self.mixers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(widths[0], widths[0], 3, padding=1, bias=False), group_norm(widths[0]))
            for _ in range(config.mixing)
        )
        self.last = nn.Conv2d(widths[-1], 1, 3, padding=1)
        if config.residual:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
            self.scale = nn.Parameter(torch.ones(()))
        if config.conditioning == "selector":
            K = config.channels[0]
            self.selector = nn.Parameter(torch.randn(config.num_classes, K) / math.sqrt(K))

    def forward(self, reading: Reading) -> Tensor:
        """(B, S, S) in [0, 1]."""
        maps = (self.conditioned(reading), *reading.maps[1:])
        x = self.entries[0](maps[0])
        for stage in range(self.config.stages + 1):
            x = self.blocks[stage - 1](x) if stage else x
            for i in self.joining(stage):
                x = x + self.entries[i](resized(maps[i], x))
            x = x.relu()
            for mixer in self.mixers if stage == 0 else ():
                x = (x + mixer(x)).relu()
        logit = self.upsampled(self.last(x)[:, 0])
        return (logit + self.prior(reading) if self.config.residual else logit).sigmoid()

    def mask(self, saliency: Tensor) -> Tensor:
        """The map as the training's mask."""
        return min_max(saliency) if self.config.normalised else saliency

    def conditioned(self, reading: Reading) -> Tensor:
        """The target layer's maps with the class in them. Class weights are scaled to a mean square of 1: gradients of
        a pooling head are smaller than its class row by the number of positions, and no normalisation must feel that.
        """
        A = reading.maps[0]
        if self.config.conditioning == "selector":
            return A * torch.einsum("bk,bkhw->bhw", self.selector[reading.targets], A).sigmoid()[:, None]
        if self.config.conditioning == "none":
            return A
        assert reading.weights is not None
        scale = reading.weights.square().mean(1, keepdim=True).sqrt().clamp_min(EPS)
        return A * (reading.weights / scale)[:, :, None, None]

    def prior(self, reading: Reading) -> Tensor:
        """(B, S, S) scale · logit of the CAM."""
        assert reading.weights is not None
        cam = torch.einsum("bk,bkhw->bhw", reading.weights, reading.maps[0]).relu()
        return self.scale * (FLOOR + (1 - 2 * FLOOR) * min_max(self.upsampled(cam))).logit()

    def joining(self, stage: int) -> list[int]:
        """The further layers whose maps come in at this stage."""
        return [i for i, at in enumerate(self.stage_of) if i and at == stage]

    def upsampled(self, maps: Tensor) -> Tensor:
        size = (self.config.input_size, self.config.input_size)
        return F.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]


def group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(channels, GROUPS), channels)


def first_at_least(side: int, reached: list[int]) -> int:
    """The first stage whose maps are as large as `side`, the last one if none is."""
    return next((stage for stage, size in enumerate(reached) if size >= side), len(reached) - 1)


def resized(maps: Tensor, like: Tensor) -> Tensor:
    """Maps at the height and width of `like`, smaller ones by averages, larger ones bilinearly."""
    size = (like.shape[-2], like.shape[-1])
    if maps.shape[-1] > like.shape[-1]:
        return F.adaptive_avg_pool2d(maps, size)
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)


def min_max(maps: Tensor) -> Tensor:
    """(S − min S) / (max S − min S) per map (B, h, w); a constant map becomes 0."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low).clamp_min(EPS)
