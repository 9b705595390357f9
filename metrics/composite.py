"""ADCC and ARCC: what a map keeps of the class, how little it shows, and whether it explains itself, in one number."""

from __future__ import annotations

from typing import Any

import torch

from bench.core.metric import Case, Explain, metric
from metrics.average import masked_image
from metrics.road import LEVELS, both_orders

LEAST = 1e-12


def probabilities(classifier: Any, images: torch.Tensor, target: int) -> torch.Tensor:
    """(n,) float64 probabilities of the class."""
    found: torch.Tensor = classifier.output.log_probabilities(classifier.score(images).double())[:, target].exp()
    return found


def coherency(case: Case, explain: Explain, masked: torch.Tensor) -> float:
    """(1 + r) / 2, r Pearson's correlation of the map with the map of the image seen through it; ½ where either is
    constant."""
    again = explain(masked, torch.tensor([case.target], device=case.image.device))[0]
    one, other = (x.flatten().double() - x.double().mean() for x in (case.map, again))
    norm = one.norm() * other.norm()
    return float((1 + (one * other).sum() / norm) / 2) if norm > LEAST else 0.5


def complexity(case: Case) -> float:
    """Mean of the map, in [0, 1]."""
    return float(case.map.clamp(0, 1).double().mean())


@metric("ADCC", kind="re-explain", better="higher", title="Average Drop, Coherency and Complexity",
        paper="Poppi et al. 2021, arXiv 2104.10252", bounds=(0, 1))  # fmt: skip
@torch.no_grad()
def adcc(case: Case, explain: Explain, classifier: Any) -> float:
    """Harmonic mean of the coherency, 1 − complexity and 1 − AD of one image, in [0, 1]; 0 where one of them is.

    Known failure: coherency asks the method again about an image that it made itself, and rewards methods that ignore
    the image.
    """
    masked = next(masked_image(case))
    p, o = probabilities(classifier, torch.cat([case.image[None], masked]), case.target).tolist()
    drop = max(0.0, p - o) / max(p, LEAST)
    parts = [coherency(case, explain, masked), 1 - complexity(case), 1 - drop]
    return 3 / sum(1 / part for part in parts) if min(parts) > LEAST else 0.0


@metric("ARCC", kind="re-explain", better="higher", title="ROAD, Coherency and Complexity",
        paper="arXiv 2605.14641", bounds=(0, 1))  # fmt: skip
@torch.no_grad()
def arcc(case: Case, explain: Explain, classifier: Any) -> float:
    """Geometric mean of the coherency, 1 − complexity and 2 · ROAD cut to [0, 1].

    pytorch-grad-cam's code calls the harmonic mean geometric and takes ROAD at 20, 40, 60 and 80 %; here ROAD is that
    of the column ROAD.

    Known failure: that of ADCC, and 0 for every map whose ROAD is negative.
    """
    p = torch.cat([probabilities(classifier, images, case.target) for images in both_orders(case)])
    road = (p[len(LEVELS) :] - p[: len(LEVELS)]).mean().item() / 2
    parts = [coherency(case, explain, next(masked_image(case))), 1 - complexity(case), min(max(2 * road, 0.0), 1.0)]
    return float(max(parts[0] * parts[1] * parts[2], 0.0) ** (1 / 3))
