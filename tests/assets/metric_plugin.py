"""A plug-in that brings a metric, a classifier and a data set."""

from pathlib import Path

import torch
from torch import nn

from cambench import Dataset, Sample, classifier, dataset, metric


@metric("PEAK", kind="map", better="none", title="Row of the peak", paper="none", scale=1)
def peak(case):
    return float(case.map.flatten().argmax() // case.map.shape[1])


@classifier("plugin-net", layer="1", input_size=32, classes=("a", "b"))
def plugin_net():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 4, 5, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )


@dataset("plugin-data")
def plugin_data(root, boxes):
    files = sorted(Path(root).rglob("*.png"))
    return Dataset(
        "plugin-data", tuple(Sample(f"{f.parent.name}/{f.stem}", f, i % 2) for i, f in enumerate(files)), root=root
    )
