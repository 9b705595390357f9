"""Small deterministic nets, one for each way in which a classifier can be hard to explain, and smooth images."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.classifier import Classifier
from bench.core.seeds import forked_rng

SIZE = 32
CLASSES = 7
MEAN, STD = (0.4, 0.5, 0.6), (0.25, 0.2, 0.3)


def photo(n: int = 4, size: int = SIZE, seed: int = 0) -> Tensor:
    """(n, 3, size, size) smooth random images that fill [0, 1]; image i does not depend on n."""
    noise = torch.stack([torch.randn(3, 6, 6, generator=torch.Generator().manual_seed(seed + i)) for i in range(n)])
    smooth = F.interpolate(noise, size=(size, size), mode="bicubic", align_corners=False)
    low, high = smooth.amin((1, 2, 3), keepdim=True), smooth.amax((1, 2, 3), keepdim=True)
    return (smooth - low) / (high - low)


class GapLinear(nn.Module):
    """conv, ReLU, pool, conv, ReLU | global average pooling, linear. CAM applies."""

    def __init__(self, channels: int = 8):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, channels, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(4),
            nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.fc = nn.Linear(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x).mean((2, 3)))


class DeepHead(nn.Module):
    """The same features | pool, flatten, two-layer perceptron. CAM does not apply."""

    def __init__(self) -> None:
        super().__init__()
        self.features = GapLinear().features
        self.classifier = nn.Sequential(nn.Linear(8 * 16, 16), nn.ReLU(inplace=True), nn.Linear(16, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(F.max_pool2d(self.features(x), 2), 1))


class SignedFeatures(nn.Module):
    """Cut at a convolution without ReLU: maps of both signs | tanh, global average pooling, linear."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(4), nn.Conv2d(8, 6, 3, padding=1)
        )
        self.fc = nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.adaptive_avg_pool2d(torch.tanh(self.features(x)), 1).flatten(1))


class TokenBlock(nn.Module):
    def __init__(self, width: int, heads: int = 2):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width)
        x = x + self.proj(mixed)
        return x + self.mlp(self.norm2(x))


class Tokens(nn.Module):
    """A tiny vision transformer: 4 × 4 patches and a class token; cut at the last block's first norm, past which the
    residual stream goes."""

    def __init__(self, width: int = 12):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.position = nn.Parameter(torch.randn(1, 17, width))
        self.blocks = nn.Sequential(TokenBlock(width), TokenBlock(width))
        self.norm = nn.LayerNorm(width)
        self.fc = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        return self.fc(self.norm(self.blocks(x))[:, 0])


class BypassBlock(nn.Module):
    """ConvNeXt's block: the residual goes past `block[5]`, whose output is channels last."""

    def __init__(self, width: int):
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width), Permute(0, 2, 3, 1), nn.LayerNorm(width),
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width), Permute(0, 3, 1, 2),
        )  # fmt: skip
        self.scale = nn.Parameter(torch.randn(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.block(x)


class Permute(nn.Module):
    def __init__(self, *order: int):
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(*self.order)


class ResidualBypass(nn.Module):
    def __init__(self, width: int = 10):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, width, 4, 4), BypassBlock(width), BypassBlock(width))
        self.fc = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.layer_norm(self.features(x).mean((2, 3)), (10,)))


class Branching(GapLinear):
    """The GAP + linear net with control flow that depends on data, which torch.fx cannot trace."""

    def forward(self, x: Tensor) -> Tensor:
        maps = self.features(x)
        if x.abs().amax() > 1e6:
            maps = maps * 0
        return self.fc(maps.mean((2, 3)))


def _build(net: type[nn.Module], seed: int = 0) -> nn.Module:
    """A net in eval mode whose weights depend on the seed alone; the last layer is wide, so that classes differ."""
    with forked_rng(seed):
        built = net()
        for module in built.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                nn.init.normal_(module.bias, std=0.1)
        last = [module for module in built.modules() if isinstance(module, nn.Linear)][-1]
        nn.init.normal_(last.weight, std=1.0)
    return built.eval()


gap_linear = partial(_build, GapLinear)
deep_head = partial(_build, DeepHead)
signed_features = partial(_build, SignedFeatures)
tokens = partial(_build, Tokens)
residual_bypass = partial(_build, ResidualBypass)
branching = partial(_build, Branching)

TOYS: dict[str, Callable[..., nn.Module]] = {
    "gap_linear": gap_linear,
    "deep_head": deep_head,
    "signed_features": signed_features,
    "tokens": tokens,
    "residual_bypass": residual_bypass,
    "branching": branching,
}
"""Name to builder: `TOYS[name](seed=0)` is a net on normalised images."""

LAYERS = {
    "gap_linear": "features[-1]",
    "deep_head": "features[-1]",
    "signed_features": "features[-1]",
    "tokens": "blocks[-1].norm1",
    "residual_bypass": "features[-1].block[5]",
    "branching": "features",
}


def toy_classifier(
    kind: str = "gap_linear",
    *,
    seed: int = 0,
    layer: str | None = None,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    input_size: int = SIZE,
) -> Classifier:
    """A classifier of 7 classes on 32 × 32 images."""
    return Classifier(
        TOYS[kind](seed=seed), name=f"toy-{kind}", layer=layer or LAYERS[kind], input_size=input_size,
        mean=MEAN, std=STD, classes=[f"class {i}" for i in range(CLASSES)],
        origin=f"toy:{seed}", device=device, dtype=dtype,
    )  # fmt: skip
