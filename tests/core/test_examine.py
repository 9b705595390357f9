"""Networks that cannot be judged are refused in one line that names the cause."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from bench.core.net.layers import stated_prefix, token_grid


class Net(nn.Module):
    def __init__(self, channels: int = 3, norm: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.fc = nn.Conv2d(channels, 8, 5, 2, 2), norm or nn.Identity(), nn.Linear(8, 3)

    def maps(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)).relu()

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.maps(x).mean((2, 3)))


class Squeezed(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.adaptive_avg_pool2d(self.maps(x), 1).squeeze())


class Drops(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.dropout(self.maps(x).mean((2, 3)), 0.5))


class BatchMean(Net):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - x.mean())


class OneAtATime(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.maps(x).mean((2, 3)).view(1, 8))


class NeverEvaluates(Net):
    def __init__(self) -> None:
        super().__init__(norm=nn.BatchNorm2d(8))

    def train(self, mode: bool = True) -> Net:
        return super().train(True)


class Named(Net):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": super().forward(x)}


class Broken(Net):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * float("nan")


class Counts(Net):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(x)


def quantised() -> nn.Module:
    return torch.ao.quantization.quantize_dynamic(Net().eval(), {nn.Linear})


def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(2))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (Squeezed, r"squeeze\(\) drops the batch"),
        (Drops, "is random in eval mode"),
        (BatchMean, "depends on the others in its batch"),
        (lambda: Net(norm=nn.BatchNorm2d(8, track_running_stats=False)), "depends on the others in its batch"),
        (OneAtATime, "fails on a batch of 3"),
        (NeverEvaluates, r"changes its buffers \(norm.running_mean\)"),
        (Counts, r"changes its buffers \(calls\)"),
        (Named, "returns a dict; wrap it"),
        (Broken, "no finite number"),
        (lambda: Net(4), "takes 4 channels and photographs have 3"),
        (lambda: torch.jit.script(Net().eval()), "is TorchScript"),
        (quantised, "is quantised"),
        (lazy, "lazy layers without weights"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_the_cause_is_named(build, message):
    with pytest.raises(UsageError, match=message) as raised:
        Classifier(build(), name="net", input_size=32)
    assert "\n" not in str(raised.value)
    assert "--layer" not in str(raised.value)


def test_buffers_of_a_refused_net_are_as_before():
    net = NeverEvaluates()
    before = net.norm.running_mean.clone()
    with pytest.raises(UsageError):
        Classifier(net, name="net", input_size=32)
    assert torch.equal(net.norm.running_mean, before)


def test_batch_normalisation_with_statistics_is_fine():
    assert Classifier(Net(norm=nn.BatchNorm2d(8)), name="net", input_size=32).num_classes == 3


def test_a_grey_net_gets_the_luma_of_the_image():
    net = Net(1).eval()
    grey = Classifier(net, name="grey", input_size=32, mean=(0.5,), std=(0.25,))
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    luma = 0.299 * images[:, 0] + 0.587 * images[:, 1] + 0.114 * images[:, 2]
    with torch.no_grad():
        torch.testing.assert_close(grey.logits(images), net((luma[:, None] - 0.5) / 0.25))
    assert grey.channels == 1
    assert grey.mean.tolist() == [0.5] * 3


@pytest.mark.parametrize(
    ("tokens", "size", "prefix", "expected"),
    [
        (197, 224, 1, (1, 14)),
        (226, 224, 30, (30, 14)),  # 226 = 15² + 1: the largest square would be wrong
        (261, 224, 5, (5, 16)),
        (196, 224, 1, (0, 14)),  # this layer has no class token
        (197, 224, None, (1, 14)),
        (201, 224, None, (5, 14)),
        (50, 224, None, (1, 7)),
    ],
)
def test_the_token_grid_follows_the_nets_own_count(tokens, size, prefix, expected):
    assert token_grid(tokens, "blocks.1", size, prefix) == expected


@pytest.mark.parametrize(("tokens", "size", "prefix"), [(226, 224, None), (247, 240, None), (200, 224, 1)])
def test_a_grid_that_would_be_guessed_is_refused(tokens, size, prefix):
    with pytest.raises(UsageError, match="prefix_tokens"):
        token_grid(tokens, "blocks.1", size, prefix)


def test_timm_and_torchvision_say_how_many_tokens_come_first():
    import timm
    from torchvision.models import VisionTransformer

    assert stated_prefix(timm.create_model("vit_tiny_patch16_224")) == 1
    assert stated_prefix(timm.create_model("vit_small_patch14_reg4_dinov2")) == 5
    assert stated_prefix(VisionTransformer(32, 16, 1, 1, 8, 8)) == 1
    assert stated_prefix(Net()) is None
