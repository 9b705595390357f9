"""Which rows have the same map, so that one explainer under four names counts once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pandas as pd
import torch

from bench.core.explainer import MapOrder
from bench.run.store import Store
from bench.scoring.normalise import normalise

TOLERANCE = 2e-3
"""Largest difference between two normalised maps that count as equal: the rounding of stored float16 maps."""
IMAGES = 32


def equal_rows(
    store: Store, scores: pd.DataFrame, methods: Mapping[str, MapOrder], size: int, metrics: list[str]
) -> dict[str, str]:
    """Every method whose maps equal those of a method listed before it, mapped to that method.

    Two methods are equal when their normalised maps agree within float16 rounding on every compared image (the first 32
    of the run) and their stored scores lie within 2 points everywhere. Rows whose maps are not kept are not compared.
    """
    by_method = {method: frame.set_index("image") for method, frame in scores.groupby("method")}

    @cache
    def normalised(method: str) -> dict[str, torch.Tensor]:
        first = by_method[method].sort_index().iloc[:IMAGES].reset_index().set_index("key")
        raw = store.maps(first)
        return {
            image: normalise(raw[key][None].float(), size, methods[method])[0][0]
            for key, image in first.image.items()
            if key in raw
        }

    def same(one: str, other: str) -> bool:
        if not near(by_method[one], by_method[other], metrics):
            return False
        both = normalised(one).keys() & normalised(other).keys()
        return bool(both) and all(
            torch.allclose(normalised(one)[image], normalised(other)[image], rtol=0, atol=TOLERANCE) for image in both
        )

    equal: dict[str, str] = {}
    for method in (name for name in methods if name in by_method):
        first = next(
            (name for name in methods if name in by_method and name not in equal and same(name, method)), method
        )
        if first != method:
            equal[method] = first
    return equal


def near(one: pd.DataFrame, other: pd.DataFrame, metrics: list[str]) -> bool:
    """Whether the scores could belong to equal maps; strict thresholds such as AI's may flip on rounding noise."""
    both = [m for m in metrics if m in one and m in other and not set(one[m].dropna().unique()) <= {0.0, 1.0}]
    return all(((one[m] - other[m]).abs().fillna(0) <= 0.02).all() for m in both)
