"""How often the network is right on a run's images: explanations of a network at chance level say nothing."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from scipy.stats import binomtest

DOUBT = 0.05


@dataclass(frozen=True)
class Accuracy:
    """Top-1 accuracy over the labelled images."""

    right: int
    images: int
    classes: int

    @classmethod
    def of(cls, scores: pd.DataFrame, classes: int) -> Accuracy | None:
        """From rows of scores with the columns image and right (boolean or NA); None where no image has a label."""
        if scores.empty or "right" not in scores:
            return None
        right = scores.drop_duplicates("image").right.dropna().astype(bool)
        return cls(int(right.sum()), len(right), classes) if len(right) else None

    @property
    def at_chance(self) -> bool:
        """Whether a draw among the classes would do as well: one-sided binomial test, p > 0.05."""
        return bool(binomtest(self.right, self.images, 1 / self.classes, alternative="greater").pvalue > DOUBT)

    @property
    def warning(self) -> str:
        """What to check, or ""."""
        if not self.at_chance:
            return ""
        return (
            f"the network is right on {self} of these images, no better than chance (1 of {self.classes}): "
            "check its normalisation, weights and the order of its classes"
        )

    def __str__(self) -> str:
        return f"{self.right} of {self.images} ({100 * self.right / self.images:.1f} %)"
