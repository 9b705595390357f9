"""Scores of both ends of a curve, images untouched and replaced as a whole: no map changes them, so they are asked once
for all sources."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bench.core.classifier import Classifier
from bench.core.metric import Case
from bench.core.protocols import Hidden
from bench.scoring.scorer import Scorer


class SharedScores:
    """Remembers, per classifier and fill, the answers for the images asked last: all sources are scored on a chunk in
    turn."""

    def __init__(self) -> None:
        self._last: dict[tuple[Classifier, Hidden | None], tuple[list[str], torch.Tensor]] = {}

    def scores(
        self, classifier: Classifier, batch: int, kind: Hidden | None, cases: Sequence[Case], digests: Sequence[str]
    ) -> torch.Tensor:
        """(B, C) float64 log-probabilities of the images of `cases`, filled as a whole or untouched (None); `digests`
        are of the images."""
        key, asked = (classifier, kind), list(digests)
        known = self._last.get(key)
        if known is None or known[0] != asked:
            shown = (case.image if kind is None else case.filled(kind) for case in cases)
            known = asked, Scorer(classifier, batch).score(image[None] for image in shown)
            self._last[key] = known
        return known[1]
