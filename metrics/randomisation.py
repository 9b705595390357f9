"""Parameter randomisation: does the map change when layers of the classifier are random?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from bench.core.metric import Case, Explain, metric

ADEBAYO = "Adebayo et al. 2018, arXiv 1810.03292"
STAGES = 4
"""Depths of the network at which the longer tests stop."""
WINDOW = 7
"""Side of SSIM's window in pixels."""


@metric("MPRT1", kind="re-explain", better="lower", title="Rank correlation after randomising the last layer",
        paper=ADEBAYO, bounds=(-1, 1))  # fmt: skip
def parameter_randomisation(case: Case, explain: Explain, classifier: Any) -> float:
    """Spearman correlation, in [−1, 1], of the map with the map of the same image and class after the parameters of
    the classifier's last layer were drawn again (first step of the cascading randomisation).

    Near 1 the explainer does not look at what the classifier has learnt there; class-agnostic methods get 1 by
    construction. A constant map on either side carries no ranks and gives 0.

    Known failure: edges of the image survive in a map that is multiplied by the input, so that the value depends on the
    images as well as on the method (Yona & Greenfeld 2021, arXiv 2110.14297). Unstable maps have low values too.
    """
    return mean_likeness(case, explain, classifier, [classifier.parametric[-1:]], rank_correlation)


@metric("MPRT", kind="re-explain", better="lower", title="Rank correlation, cascading randomisation", paper=ADEBAYO,
        bounds=(-1, 1))  # fmt: skip
def cascading(case: Case, explain: Explain, classifier: Any) -> float:
    """Mean Spearman correlation of the map with those after the last quarter, half, three quarters and all of the
    linear and convolutional layers were drawn again, from the output down.

    Known failure: as MPRT1; and a random network has edges in its maps too.
    """
    return mean_likeness(case, explain, classifier, from_the_output(classifier.parametric), rank_correlation)


@metric("MPRT-SSIM", kind="re-explain", better="lower", title="SSIM, cascading randomisation", paper=ADEBAYO,
        bounds=(-1, 1))  # fmt: skip
def cascading_ssim(case: Case, explain: Explain, classifier: Any) -> float:
    """As MPRT by the structural similarity of the normalised maps instead of ranks, in windows of 7 × 7 pixels.

    Known failure: two maps that are mostly black are alike whatever else they show.
    """
    return mean_likeness(case, explain, classifier, from_the_output(classifier.parametric), structure)


@metric("IPRT", kind="re-explain", better="lower", title="Rank correlation, independent randomisation",
        paper=ADEBAYO, bounds=(-1, 1))  # fmt: skip
def independent(case: Case, explain: Explain, classifier: Any) -> float:
    """Mean Spearman correlation of the map with those after one layer alone was drawn again: the first layer of each
    quarter of the linear and convolutional layers.

    Known failure: residual connections lead around a single layer, so that much survives.
    """
    return mean_likeness(case, explain, classifier, one_by_one(classifier.parametric), rank_correlation)


@metric("IPRT-SSIM", kind="re-explain", better="lower", title="SSIM, independent randomisation", paper=ADEBAYO,
        bounds=(-1, 1))  # fmt: skip
def independent_ssim(case: Case, explain: Explain, classifier: Any) -> float:
    """As IPRT by the structural similarity of the normalised maps.

    Known failure: those of IPRT and MPRT-SSIM.
    """
    return mean_likeness(case, explain, classifier, one_by_one(classifier.parametric), structure)


def from_the_output(layers: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """The last quarter of the layers, the last half, and so on."""
    return (layers[at:] for at in quarters(len(layers))[::-1])


def one_by_one(layers: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (layers[at : at + 1] for at in quarters(len(layers)))


def quarters(count: int) -> list[int]:
    """First index of each quarter, each once."""
    return sorted({stage * count // STAGES for stage in range(STAGES)})


Likeness = Callable[[torch.Tensor, torch.Tensor], float]


def mean_likeness(
    case: Case, explain: Explain, classifier: Any, groups: Iterator[Sequence[Any]] | list[Sequence[Any]], like: Likeness
) -> float:
    """Of the map and those of the same class after each group of layers was drawn again."""
    target = torch.tensor([case.target], device=case.image.device)
    found = []
    for group in groups:
        with classifier.randomised(case.seed, group):
            found.append(like(case.map, explain(case.image[None], target)[0]))
    return sum(found) / len(found)


def rank_correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    """Spearman correlation over the pixels of two maps (H, W); 0 where either is constant."""
    if one.max() == one.min() or other.max() == other.min():
        return 0.0
    from scipy.stats import spearmanr  # takes a second to import

    return float(spearmanr(one.flatten().cpu(), other.flatten().cpu()).statistic)


def structure(one: torch.Tensor, other: torch.Tensor) -> float:
    """SSIM of two maps (H, W) in [0, 1]."""
    from skimage import metrics as library  # takes a second to import

    side = min(WINDOW, *one.shape)
    pair = (values.double().cpu().numpy() for values in (one, other))
    like: Any = library.structural_similarity
    return float(like(*pair, data_range=1.0, win_size=side - (side + 1) % 2))
