"""VGG16 whose first dense layer does not read the lower rows of the last map (Taimeskhanov et al. 2024)."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

SIZE = 224
"""Side of the images in pixels."""
ROWS, SEEN = 14, 5
"""Rows of the last map, and those that the first dense layer reads."""
UNSEEN = 54
"""Rows of the image, the last ones, that no seen row of the map depends on: row 4 reads the image up to row 169."""
CHANNELS = 256
"""Of the last map, where VGG16 has 512."""
TRUNK = 28
"""Modules of VGG16's features below its last convolution."""
HIDDEN = 4096


class WalledVGG(nn.Module):
    """VGG16 without its last pooling, whose dense layers see the upper 5 of 14 rows of the last map.

    The paper multiplies the weights of the other rows by 0; here there are none, which is the same function with a
    third of the weights.
    """

    def __init__(self, classes: int = 1000, hidden: int = HIDDEN):
        super().__init__()
        last = [nn.Conv2d(512, CHANNELS, 3, padding=1), nn.ReLU(inplace=True)]
        self.features = nn.Sequential(*list(make_layers(cfgs["D"]))[:TRUNK], *last)
        self.classifier = nn.Sequential(
            nn.Linear(CHANNELS * SEEN * ROWS, hidden), nn.ReLU(inplace=True), nn.Dropout(),
            nn.Linear(hidden, hidden), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(hidden, classes),
        )  # fmt: skip
        initialise(self)

    def trunk(self, x: Tensor) -> Tensor:
        """Normalised images (B, 3, 224, 224) to what the last convolution reads (B, 512, 14, 14)."""
        result: Tensor = self.features[:TRUNK](x)
        return result

    def top(self, maps: Tensor) -> Tensor:
        """That to logits (B, C)."""
        return self.seen(self.features[TRUNK:](maps))

    def seen(self, last: Tensor) -> Tensor:
        """The last map (B, 256, 14, 14) to logits (B, C)."""
        result: Tensor = self.classifier(last[:, :, :SEEN].flatten(1))
        return result

    def forward(self, x: Tensor) -> Tensor:
        return self.seen(self.features(x))


def initialise(net: nn.Module) -> None:
    """As torchvision's VGG16."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.01)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
