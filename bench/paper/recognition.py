"""The rows that are about the network itself: accuracy, size, cost."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.core.classifier import Classifier
from bench.paper.measured import MeasuredRows, keep_images
from bench.run.carry_out import RunProgress
from bench.run.images import Images
from bench.run.provenance import provenance
from bench.run.request import Request
from bench.run.store import Store
from bench.tables.content import Cell
from bench.tables.statistics import wilson

NETWORK = ""
"""The label of rows without an explainer."""


def gflops(classifier: Classifier) -> float:
    """10⁹ operations for one image, a multiplication and an addition counted as two (torch's FlopCounterMode: linear
    and convolutional layers, matrix products and attention)."""
    size = classifier.input_size
    image = torch.zeros(1, 3, size, size, device=classifier.device, dtype=classifier.dtype)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        classifier.logits(image)
    result: float = counter.get_total_flops() / 1e9
    return result


def measure(request: Request) -> MeasuredRows:
    """Acc_top1: percent of the images whose most probable class is the label, with its Wilson interval; GFLOPs;
    params_M: 10⁶ parameters."""
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
    cells = {(NETWORK, "GFLOPs"): Cell(gflops(net)), (NETWORK, "params_M"): Cell(net.parameters / 1e6)}
    if right:
        low, high = wilson(sum(right), len(right))
        cells[NETWORK, "Acc_top1"] = Cell(100 * float(np.mean(right)), 100 * low, 100 * high, len(right))
    facts = tuple(f"{net.name}: {key} {value}" for key, value in provenance(request, images).items())
    return MeasuredRows(cells, images=len(images.ids), facts=facts)
