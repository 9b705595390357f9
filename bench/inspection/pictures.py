"""Images of what was found, as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.utils import make_grid, save_image

from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from bench.core.files import write_atomic

SIDE = 112
"""Of a patch in a picture of several."""


def write(picture: Tensor, file: Path) -> None:
    """(3, H, W) in [0, 1] as PNG."""
    write_atomic(file, lambda path: save_image(picture.cpu(), path, format="png"))


def stretched(image: Tensor, mean: Tensor) -> Tensor:
    """(3, S, S) with its deviations from the mean colour brought to three standard deviations each way, since a network
    needs less contrast than an eye."""
    deviation = image - mean[:, None, None]
    return (0.5 + deviation / (6 * deviation.std()).clamp(min=1e-12)).clamp(0, 1)


def grid(patches: Sequence[Tensor], columns: int) -> Tensor:
    """Pictures (3, h, w) of any sizes, each brought to one side, in reading order."""
    brought = [F.interpolate(patch[None].cpu(), (SIDE, SIDE), mode="bilinear")[0] for patch in patches]
    picture: Tensor = make_grid(brought, columns, padding=4, pad_value=1.0)
    return picture


def first_filters(classifier: Classifier) -> Tensor:
    """The filters of the first convolution that reads colours, each with its own least value black and its largest
    white, eight times enlarged. Raises UsageError for a network without one."""
    for module in classifier.net.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == 3 and module.groups == 1:
            weights = module.weight.detach().float()
            low, high = (edge(weights, (1, 2, 3), keepdim=True) for edge in (torch.amin, torch.amax))
            shown = ((weights - low) / (high - low).clamp(min=1e-12)).repeat_interleave(8, 2).repeat_interleave(8, 3)
            picture: Tensor = make_grid(shown, 8, padding=4, pad_value=1.0)
            return picture
    raise UsageError(f"{classifier.name} has no convolution that reads colours")
