"""ROAD: pixels taken away by rank and filled from their neighbours, so that the shape of the hole tells nothing."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from bench.core.metric import Case, Scores, metric
from bench.core.protocols import Protocol
from metrics.imputation import imputed

RONG = "Rong et al. 2022, arXiv 2202.00449"
LEVELS = tuple(range(1, 10))
NOISE = 0.01


def noisily_imputed(case: Case, ranks: torch.Tensor) -> torch.Tensor:
    """(9, 3, H, W): a tenth to nine tenths of the pixels imputed, those of least rank first, with noise of 0.01."""
    counts = torch.tensor([round(level * ranks.numel() / 10) for level in LEVELS], device=ranks.device)
    removed = ranks < counts[:, None, None]
    generator = torch.Generator().manual_seed(case.seed % 2**63)
    noise = NOISE * torch.randn(len(LEVELS), *case.image.shape, generator=generator).to(case.image)
    return imputed(case.image, removed) + removed[:, None] * noise


def both_orders(case: Case) -> Iterator[torch.Tensor]:
    """The most relevant pixels first, then the least relevant first."""
    yield noisily_imputed(case, case.ranks)
    yield noisily_imputed(case, case.ranks.numel() - 1 - case.ranks)


def eighteen(protocol: Protocol) -> int:
    return 2 * len(LEVELS)


@metric("ROAD", kind="score", better="higher", title="ROAD, combined", paper=RONG, derive=both_orders,
        n_derived=eighteen, bounds=(-0.5, 0.5))  # fmt: skip
def road(scores: Scores) -> float:
    """Mean over 10 %, 20 %, … 90 % of pixels removed of (p with the least relevant removed − p with the most relevant
    removed) / 2, p the probability of the explained class, in [−½, ½].

    Removed pixels become the weighted mean of their neighbours (a linear system) plus noise of 0.01. They are chosen by
    rank, so that ties do not change how many go.

    Known failure: of a large hole the imputation is a smooth blur, which a network may recognise all the same.
    """
    p = scores.derived[:, scores.target].exp()
    return float((p[len(LEVELS) :] - p[: len(LEVELS)]).mean() / 2)
