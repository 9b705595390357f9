"""Parameter randomisation in one step: does the map change when the classifier's last layer is random?"""

from __future__ import annotations

from typing import Any

import torch

from bench.core.metric import Case, Explain, metric


@metric("MPRT1", kind="re-explain", better="lower", title="Rank correlation after randomising the last layer",
        paper="Adebayo et al. 2018, arXiv 1810.03292", bounds=(-1, 1))  # fmt: skip
def parameter_randomisation(case: Case, explain: Explain, classifier: Any) -> float:
    """Spearman correlation, in [−1, 1], of the map with the map of the same image and class after the parameters of
    the classifier's last layer were drawn again (first step of the cascading randomisation).

    Near 1 the explainer does not look at what the classifier has learnt there; class-agnostic methods get 1 by
    construction. A constant map on either side carries no ranks and gives 0.

    Known failure: edges of the image survive in a map that is multiplied by the input, so that the value depends on the
    images as well as on the method (Yona & Greenfeld 2021, arXiv 2110.14297). Unstable maps have low values too.
    """
    with classifier.randomised(case.seed):
        other = explain(case.image[None], torch.tensor([case.target], device=case.image.device))[0]
    return rank_correlation(case.map, other)


def rank_correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    """Spearman correlation over the pixels of two maps (H, W); 0 where either is constant."""
    if one.max() == one.min() or other.max() == other.min():
        return 0.0
    from scipy.stats import spearmanr  # takes a second to import

    return float(spearmanr(one.flatten().cpu(), other.flatten().cpu()).statistic)
