"""The rows that are about the network itself: accuracy, size, cost."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.classifiers.load import built, find_architecture
from bench.core.errors import UsageError
from bench.paper.measured import MeasuredRows, keep_images
from bench.run.carry_out import RunProgress
from bench.run.images import Images
from bench.run.provenance import provenance
from bench.run.request import Request
from bench.run.store import Store
from bench.tables.content import Cell
from bench.tables.statistics import wilson
from methods.castream.architecture import StreamedNet

NETWORK = ""
"""The label of rows without an explainer."""


def gflops(net: nn.Module, size: int) -> float:
    """10⁹ operations for one image of that side, a multiplication and an addition counted as two (torch's
    FlopCounterMode: linear and convolutional layers, matrix products and attention)."""
    one = next(net.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, 3, size, size, device=one.device, dtype=one.dtype))
    result: float = counter.get_total_flops() / 1e9
    return result


def costs(net: nn.Module, size: int) -> dict[tuple[str, str], Cell]:
    """GFLOPs; params_M: 10⁶ parameters; for a network with a stream, param_percent: its parameters in percent of the
    others."""
    count = parameters(net)
    found = {"GFLOPs": gflops(net, size), "params_M": count / 1e6}
    if isinstance(net, StreamedNet):
        found["param_percent"] = 100 * parameters(net.stream) / (count - parameters(net.stream))
    return {(NETWORK, metric): Cell(value) for metric, value in found.items()}


def parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def sizes(name: str) -> dict[tuple[str, str], Cell]:
    """What can be said of a network whose weights or images are not here; nothing where it cannot be built."""
    try:
        architecture = find_architecture(name)
        return costs(built(architecture, name).eval(), architecture.input_size)
    except UsageError:
        return {}


def measure(request: Request) -> MeasuredRows:
    """Acc_top1: percent of the images whose most probable class is the label, with its Wilson interval; and the
    network's costs."""
    images, net = Images(request), request.classifier
    keep_images(images, request.out)
    state = RunProgress(request, images, Store(request.out), {}, {})
    rows = state.store.rows("clean")
    state.log_probabilities.update(rows.get("log_probabilities", {}))
    right: list[bool] = []
    for chunk in images.chunks():
        if not request.compute and not state.known(chunk):
            continue
        items, clean = state.load(chunk)
        labels = torch.tensor([-1 if item.label is None else item.label for item in items])
        right += (clean.argmax(1) == labels).tolist()
    cells = costs(net.net, net.input_size)
    if right:
        low, high = wilson(sum(right), len(right))
        cells[NETWORK, "Acc_top1"] = Cell(100 * float(np.mean(right)), 100 * low, 100 * high, len(right))
    facts = tuple(f"{net.name}: {key} {value}" for key, value in provenance(request, images).items())
    return MeasuredRows(cells, images=len(images.ids), facts=facts)
