"""How a training image is varied from epoch to epoch, by the global generator of torch, which the caller seeds."""

from __future__ import annotations

import torch
import torchvision.transforms.functional as TF
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, RandomCrop, RandomResizedCrop

PADDING = 4
"""Pixels around a 32 × 32 image before it is cropped."""
TILT = 15.0
"""Largest rotation of a small image, in degrees."""


def crop_and_flip(image: Image.Image, size: int, interpolation: str) -> Tensor:
    """(3, S, S) uint8: a random crop of 25 to 100 % of the area, half of them mirrored."""
    top, left, height, width = RandomResizedCrop.get_params(image, [0.25, 1.0], [3 / 4, 4 / 3])
    cut = TF.resized_crop(image, top, left, height, width, [size, size], InterpolationMode(interpolation))
    result: Tensor = TF.pil_to_tensor(mirrored_or_not(cut))
    return result


def shift_flip_and_tilt(image: Image.Image, size: int, interpolation: str) -> Tensor:
    """(3, S, S) uint8: the whole image shifted by up to S / 8 pixels on black, half of them mirrored, rotated by up to
    15 degrees: what trainings on CIFAR do, as the code of CA-Stream's authors does."""
    shown = TF.resize(image, [size, size], InterpolationMode(interpolation))
    padded = TF.pad(shown, [PADDING * size // 32])
    top, left, height, width = RandomCrop.get_params(padded, (size, size))
    cut = mirrored_or_not(TF.crop(padded, top, left, height, width))
    angle = (2 * torch.rand(()) - 1).item() * TILT
    result: Tensor = TF.pil_to_tensor(TF.rotate(cut, angle, InterpolationMode.BILINEAR))
    return result


def mirrored_or_not(image: Image.Image) -> Image.Image:
    found: Image.Image = TF.hflip(image) if torch.rand(()) < 0.5 else image
    return found
