"""ResNet-18 under a mean-pooled and a max-pooled head, fitted on the same frozen maps: does the pooling decide how
much of an object a map covers?

    python pooled_heads.py resnet18.safetensors IMAGES FOLDER    writes FOLDER/mean_pooled.safetensors, max_pooled.…
    python run_benchmark.py --model pooled_heads.py:max_pooled --weights FOLDER/max_pooled.safetensors …

IMAGES has a folder of training images per ImageNet synset. Each head is a linear layer: the minimum of the
cross-entropy over these classes plus DECAY · ‖weights‖². The other classes have the logit -100.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.models import resnet18

from bench.classifiers.load import load_classifier
from bench.core.dataset import load_dataset
from bench.data.labels import match_labels
from bench.data.pixels import load_image

DECAY, STEPS, BATCH = 1e-4, 300, 50
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def mean_pooled() -> nn.Module:
    return resnet18()


def max_pooled() -> nn.Module:
    net = resnet18()
    net.avgpool = nn.AdaptiveMaxPool2d(1)
    return net


HEADS = {"mean_pooled": mean_pooled, "max_pooled": max_pooled}
for _builder in HEADS.values():
    vars(_builder).update(mean=MEAN, std=STD, input_size=224, layer="layer4[-1]")


@torch.no_grad()
def pooled(net: nn.Module, images: Tensor) -> Tensor:
    """(B, 512): what the head is given."""
    *trunk, _ = net.children()
    normalised = (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    return nn.Sequential(*trunk)(normalised).flatten(1)


def fit(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """(1000, 512) weights and (1000,) biases: the minimum, by L-BFGS, over the classes that occur."""
    classes, own = labels.unique(return_inverse=True)
    weight = torch.zeros(len(classes), features.shape[1], requires_grad=True)
    bias = torch.zeros(len(classes), requires_grad=True)
    search = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        search.zero_grad()
        loss = F.cross_entropy(features @ weight.T + bias, own) + DECAY * weight.square().sum()
        loss.backward()
        return loss

    search.step(closure)
    weights, biases = torch.zeros(1000, features.shape[1]), torch.full((1000,), -100.0)
    weights[classes], biases[classes] = weight.detach(), bias.detach()
    return weights, biases


def batches(images: Iterable[Tensor]) -> Iterator[Tensor]:
    """(BATCH, 3, H, W), the last one smaller."""
    rest = iter(images)
    while batch := list(islice(rest, BATCH)):
        yield torch.stack(batch)


def main(checkpoint: Path, folder: Path, out: Path) -> None:
    state = {name: tensor.float() for name, tensor in load_file(checkpoint).items()}
    samples = match_labels(load_dataset("folder", folder), load_classifier("resnet18", weights=checkpoint)).samples
    labels = torch.tensor([sample.label for sample in samples])
    out.mkdir(parents=True, exist_ok=True)
    for name, builder in HEADS.items():
        net = builder().eval()
        net.load_state_dict(state)
        images = (load_image(sample, "resize-crop", 224, "bilinear") for sample in samples)
        features = torch.cat([pooled(net, batch) for batch in batches(images)])
        weight, bias = fit(features, labels)
        save_file(state | {"fc.weight": weight, "fc.bias": bias}, out / f"{name}.safetensors")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
