"""What the last block of a stream attends to."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import Passes, explainer
from methods._common import check_targets
from methods.castream.architecture import StreamedNet


def no_stream(classifier: Classifier) -> str | None:
    """Why a network has no such attention."""
    return None if isinstance(classifier.net, StreamedNet) else "the network has no stream; see castream:NAME"


@explainer("ca-attention", paper="Torres et al. 2024 (CA-Stream), arXiv 2404.14996", passes=Passes(1), skip=no_stream,
           order="up-then-min-max", uses_layer=False)  # fmt: skip
@torch.no_grad()
def ca_attention(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """S = q_L F / √d, what the last query of a stream finds at each position of the last features, before the softmax.
    Maps (B, h, w). Skipped for networks without a stream.

    Known failure: the class plays no part, so that all classes of an image have one map.
    """
    check_targets(classifier, targets)
    net = classifier.net
    assert isinstance(net, StreamedNet)
    last = len(net.stream.blocks) - 1
    return classifier.taps([f"stream.blocks[{last}].scores"])(images)[0][0][:, 0]
