"""Networks for images of 32 to 64 pixels, whose first stages keep the resolution."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torchvision.models as models
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

NARROW = (16, 32, 64)
"""Channels of the stages of the ResNets for CIFAR (He et al. 2016, arXiv 1512.03385, section 4.2)."""
MOBILE = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, blocks and stride of the stages of MobileNet-V2; the second has stride 2 for large images."""


class NarrowResNet(nn.Module):
    """The ResNet of 6 n + 2 layers for CIFAR, with a convolution in the shortcuts that change the width."""

    def __init__(self, n: int, classes: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, NARROW[0], 3, 1, 1, bias=False), nn.BatchNorm2d(NARROW[0])
        self.relu = nn.ReLU(inplace=True)
        self.layer1, self.layer2, self.layer3 = (
            stage(inside, outside, n) for inside, outside in zip((NARROW[0], *NARROW), NARROW, strict=False)
        )
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(NARROW[-1], classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        result: Tensor = self.fc(self.avgpool(x).flatten(1))
        return result


def stage(inside: int, outside: int, n: int) -> nn.Sequential:
    """n blocks, the first of which halves the side where the width grows."""
    stride = 1 if inside == outside else 2
    shortcut = None
    if stride > 1:
        shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))
    blocks = [BasicBlock(inside, outside, stride, shortcut), *(BasicBlock(outside, outside) for _ in range(n - 1))]
    return nn.Sequential(*blocks)


def initialise(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def resnet18(classes: int) -> nn.Module:
    """torchvision's, with a 3 × 3 stem of stride 1 and no pooling behind it."""
    net: nn.Module = models.resnet18(num_classes=classes)
    net.conv1, net.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    initialise(net.conv1)
    return net


def mobilenet_v2(classes: int) -> nn.Module:
    """torchvision's, with stride 1 in the stem and the second stage."""
    net = models.MobileNetV2(classes, inverted_residual_setting=[list(setting) for setting in MOBILE])
    stem = net.features[0][0]
    stem.stride = (1, 1)
    result: nn.Module = net
    return result


NETS: Mapping[str, tuple[Callable[[int], nn.Module], str]] = {
    "resnet8": (lambda classes: NarrowResNet(1, classes), "layer3.0"),
    "resnet20": (lambda classes: NarrowResNet(3, classes), "layer3.2"),
    "resnet18": (resnet18, "layer4.1"),
    "mobilenet_v2": (mobilenet_v2, "features.18"),
}
"""Name to a function of the number of classes, and the target layer."""
