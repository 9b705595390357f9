"""A stream of cross-attention blocks beside the stages of a network, whose pooling it replaces."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import torch
import torchvision.models as models
from torch import Tensor, nn

from bench.core.errors import UsageError, plural

STAGES = {
    r"(wide_)?resne(x)?t": ("maxpool", "layer1", "layer2", "layer3", "layer4"),
    r"convnext": ("features.0", "features.2", "features.4", "features.7"),
}
"""Start of a torchvision name to the modules behind which a block stands, as in the authors' code. ConvNeXt has none
behind its third down-sampling there."""
POOLING = "avgpool"


class CrossAttention(nn.Module):
    """One block: q' = W Σ_i a_i F_i + b, a = softmax over positions of q F / √d. Features are keys and values as they
    are: one head, no projections, no normalisation, no residual (Torres et al. 2024, arXiv 2404.14996)."""

    def __init__(self, inside: int, outside: int):
        super().__init__()
        self.linear = nn.Linear(inside, outside)
        nn.init.xavier_uniform_(self.linear.weight)
        self.scores = nn.Identity()
        """Through which q F / √d passes as a map (B, 1, h, w), so that it is a layer to be read."""

    def forward(self, q: Tensor, features: Tensor) -> Tensor:
        """Query (B, d) and features (B, d, h, w) to the next query (B, d')."""
        scores = (q[:, :, None, None] * features).sum(1, keepdim=True) / math.sqrt(self.linear.in_features)
        attention = self.scores(scores).flatten(2).softmax(2)
        gathered = torch.matmul(attention, features.flatten(2).transpose(1, 2))[:, 0]
        result: Tensor = self.linear(gathered)
        return result


class Stream(nn.Module):
    """A learned token that asks the features of one stage after the other; `widths` are their channels."""

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        self.token = nn.Parameter(torch.normal(1.0, 1.0, (1, widths[0])))
        outside = [*widths[1:], widths[-1]]
        self.blocks = nn.ModuleList(map(CrossAttention, widths, outside))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Features (B, d_l, h_l, w_l) of each stage to the pooled vector (B, d_L)."""
        q = self.token
        for block, maps in zip(self.blocks, features, strict=True):
            q = block(q, maps)
        return q


class StreamedNet(nn.Module):
    """A network whose head reads a stream instead of the mean over positions.

    `chain` names the modules of `net` that follow one another from the image to the last features, `stages` those of
    them behind which a block stands.
    """

    def __init__(self, net: nn.Module, stages: Sequence[str]):
        super().__init__()
        self.net = net
        self.chain, self.head_name = chain_of(net)
        self.stages = stages_of(self.chain, stages)
        self.stream = Stream(widths(net, self.chain, self.stages))

    def features(self, x: Tensor) -> list[Tensor]:
        """Normalised images (B, 3, S, S) to the features of the stages."""
        found = []
        for path in self.chain:
            x = self.net.get_submodule(path)(x)
            if path in self.stages:
                found.append(x)
        return found

    def classify(self, pooled: Tensor) -> Tensor:
        """A vector (B, d) per image to logits (B, C)."""
        head = self.net.get_submodule(self.head_name)
        flattens = any(isinstance(module, nn.Flatten) for module in head.modules())
        result: Tensor = head(pooled[:, :, None, None] if flattens else pooled)
        return result

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.stream(self.features(x)))


def chain_of(net: nn.Module) -> tuple[tuple[str, ...], str]:
    """Paths of the modules that make a net up to its pooling, and that of its head."""
    *names, head = (name for name, _ in net.named_children() if name != POOLING)
    chain = []
    for name in names:
        inside = [f"{name}.{i}" for i in range(len(list(net.get_submodule(name).children())))]
        chain += inside if name == "features" else [name]
    return tuple(chain), head


def stages_of(chain: Sequence[str], stages: Sequence[str]) -> tuple[str, ...]:
    """Raises UsageError unless all stages are parts of the chain, the last its end."""
    unknown = [path for path in stages if path not in chain]
    if unknown or not stages or stages[-1] != chain[-1]:
        raise UsageError(
            f"a stream's stages must be among {', '.join(chain)}, the last of them {chain[-1]}; "
            f"named are {', '.join(stages) or 'none'}"
        )
    return tuple(path for path in chain if path in stages)


@torch.no_grad()
def widths(net: nn.Module, chain: Sequence[str], stages: Sequence[str]) -> list[int]:
    """Channels at each stage. Raises UsageError where one has no maps."""
    was, x = net.training, torch.zeros(1, 3, 64, 64, device=next(net.parameters()).device)
    found = []
    net.eval()
    for path in chain:
        x = net.get_submodule(path)(x)
        if path in stages:
            if x.ndim != 4:
                raise UsageError(f"a stream reads maps (B, K, h, w), and {path} gives {tuple(x.shape)}")
            found.append(x.shape[1])
    net.train(was)
    return found


def usual_stages(name: str) -> tuple[str, ...]:
    """The stages of a torchvision net that the paper has. Raises UsageError for others."""
    for start, stages in STAGES.items():
        if re.match(start, name):
            return stages
    raise UsageError(f"a stream beside {name} needs its stages by name, as castream:{name}@features.4+features.9")


def stream_parameters(name: str, stages: Sequence[str] | None = None) -> int:
    """Number of parameters that the stream adds to a torchvision net; no weights are made.

    Raises UsageError for a net whose stages are neither known nor named.

    >>> stream_parameters("resnet18")
    439808
    """
    with torch.device("meta"):
        net = StreamedNet(models.get_model(name, weights=None), stages or usual_stages(name))
    return sum(parameter.numel() for parameter in net.stream.parameters())


@torch.no_grad()
def check_chain(net: StreamedNet, size: int) -> None:
    """Raises UsageError unless the chain, mean pooling and head make up the network itself."""
    device = next(net.parameters()).device
    x = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device)
    ours, own = net.classify(net.features(x)[-1].mean((2, 3))), net.net(x)
    if ours.shape != own.shape or not torch.allclose(ours, own, rtol=1e-3, atol=1e-3 * float(own.abs().max())):
        raise UsageError(
            f"this network is no chain of {plural(len(net.chain), 'module')}, mean pooling and a head; a stream cannot "
            "replace its pooling"
        )
