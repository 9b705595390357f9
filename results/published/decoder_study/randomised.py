"""An EfficientNet-Lite0 that has learnt nothing, for the honest check of `decoder_study.md`."""

import timm
import torch
from torch import nn

from bench.data import load_dataset, load_image

MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3


def lite0() -> nn.Module:
    """Every parameter drawn anew (seed 0); normalisation statistics and a spread of the logits of 3, so that its
    predictions differ from image to image, from the sample photographs."""
    torch.manual_seed(0)
    net = timm.create_model("tf_efficientnet_lite0")
    x = torch.stack([load_image(sample, "resize-crop", 224, "bicubic") for sample in load_dataset("samples").samples])
    x = (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the average over all batches seen: this one
    with torch.no_grad():
        net.train()(x)
        logits = net.eval()(x)
        net.classifier.weight.mul_(3 / (logits - logits.mean(0)).std())
        net.classifier.bias.sub_(net(x).mean(0))
    return net


lite0.layer, lite0.input_size, lite0.mean, lite0.std, lite0.interpolation = "bn2", 224, MEAN, STD, "bicubic"
