"""Sparseness and entropy of the map: how few pixels hold the saliency."""

from __future__ import annotations

import math

import torch

from bench.core.metric import Case, metric


@metric("SPARSE", kind="map", better="none", title="Sparseness (Gini index)",
        paper="Chalasani et al. 2020, arXiv 1810.06583; Hurley & Rickard 2009", bounds=(0, 1))  # fmt: skip
def sparseness(case: Case) -> float:
    """Gini index of the map's values v_1 ≤ … ≤ v_N: 1 − 2 Σ_k v_k / Σ v · (N − k + ½) / N.

    0 for a constant map, 1 − 1/N for a single pixel; the zero map gives 0. A description, not a score: neither end is
    better in itself.

    Known failure: noise of few large values is sparse too.
    """
    values = case.map.flatten().double().sort().values
    total = values.sum()
    if total <= 0:
        return 0.0
    n = values.numel()
    weights = (n - torch.arange(1, n + 1, device=values.device, dtype=values.dtype) + 0.5) / n
    return float(1 - 2 * (values / total * weights).sum())


@metric("ENTROPY", kind="map", better="none", title="Entropy", paper="Bhatt et al. 2020 (complexity), arXiv 2005.00631",
        bounds=(0, 1))  # fmt: skip
def entropy(case: Case) -> float:
    """−Σ_i q_i log q_i / log N of the map as a distribution over the N pixels, q = v / Σ v: 0 for a single pixel, 1 for
    a constant map; the zero map gives 1. A description, not a score.

    Known failure: noise of even strength and a wide smooth map have the same.
    """
    values = case.map.flatten().double()
    total = values.sum()
    if total <= 0 or values.numel() == 1:
        return 1.0
    return float(torch.special.entr(values / total).sum() / math.log(values.numel()))
