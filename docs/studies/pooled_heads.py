"""ResNet-18 under a mean-pooled and a max-pooled head, fitted on the same frozen maps: does the pooling decide how
much of an object a map covers?

    python pooled_heads.py resnet18.safetensors IMAGES FOLDER    writes FOLDER/mean_pooled.safetensors, max_pooled.…
    python run_benchmark.py --model pooled_heads.py:max_pooled --weights FOLDER/max_pooled.safetensors …

IMAGES has a folder of training images per ImageNet synset. Each head is a linear layer: the minimum of the
cross-entropy over these classes plus DECAY · ‖weights‖². The other classes have the logit -100.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import resnet18

from bench.classifiers.load import load_classifier
from bench.core.classifier import Classifier
from bench.core.dataset import Sample, load_dataset
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


@torch.no_grad()
def pooled(classifier: Classifier, samples: Sequence[Sample]) -> dict[str, Tensor]:
    """(N, 512) by head: what it is given."""
    found: dict[str, list[Tensor]] = {name: [] for name in HEADS}
    for start in range(0, len(samples), BATCH):
        images = [load_image(s, "resize-crop", 224, "bilinear") for s in samples[start : start + BATCH]]
        maps = classifier.features(torch.stack(images))
        found["mean_pooled"].append(maps.mean((2, 3)))
        found["max_pooled"].append(maps.amax((2, 3)))
    return {name: torch.cat(parts) for name, parts in found.items()}


def main(checkpoint: Path, folder: Path, out: Path) -> None:
    classifier = load_classifier("resnet18", weights=checkpoint)
    samples = match_labels(load_dataset("folder", folder), classifier).samples
    labels = torch.tensor([sample.label for sample in samples])
    out.mkdir(parents=True, exist_ok=True)
    for name, features in pooled(classifier, samples).items():
        weight, bias = fit(features, labels)
        save_file(classifier.net.state_dict() | {"fc.weight": weight, "fc.bias": bias}, out / f"{name}.safetensors")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
