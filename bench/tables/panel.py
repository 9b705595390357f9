"""One metric's values of every method, image by image, and the statistics over them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bench.core.metric import Metric
from bench.tables.content import Cell, ControlWin, Difference
from bench.tables.statistics import (
    RESAMPLES,
    Array,
    Pool,
    bca,
    confidence_set,
    difference_interval,
    estimate,
    holm,
    mean_interval,
    rate_difference_interval,
    replicates,
    sign_flip,
    swap_test,
    wilson,
)

FEWEST = 100
"""With fewer images the confidence set would hold nearly every method, so nothing is bold."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Panel:
    """A metric over images (rows, in the order of their ids) and methods (columns)."""

    metric: Metric
    methods: list[str]
    values: Array
    """(n, m), or (n, m, V) for pooled metrics; unscaled, NaN where not computed."""
    right: Array
    """(n,) 1 or 0: image rightly classified or not; NaN when that is not known."""
    seed: int
    agrees: Array = field(default_factory=lambda: np.empty((0, 0)))
    """(n, m) 1 or 0: whether the judge puts the explained class first; NaN when that is not known."""
    _resampled: dict[tuple[bytes, int], Array] = field(default_factory=dict, compare=False, repr=False)
    """Replicates drawn so far, by the images and the column."""

    @classmethod
    def of(cls, metric: Metric, methods: list[str], scores: pd.DataFrame, seed: int) -> Panel:
        """From a table with a row per method × image. Raises ValueError when a pair occurs twice."""
        column = f"{metric.name}_vector" if metric.pool else metric.name
        if column not in scores or scores.empty:
            return cls(metric, methods, np.empty((0, len(methods))), np.empty(0), seed)
        wide = scores.pivot(index="image", columns="method", values=column).sort_index().reindex(columns=methods)
        right = scores.right.astype("boolean").astype("Float64").groupby(scores.image).max().reindex(wide.index)
        values = stacked(wide) if metric.pool else wide.to_numpy(dtype=np.float64, na_value=np.nan)
        agrees = np.full(wide.shape, np.nan)
        if (said := f"{metric.name}_agrees") in scores:
            answers = scores.pivot(index="image", columns="method", values=said).reindex(
                index=wide.index, columns=methods
            )
            agrees = answers.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
        return cls(metric, methods, values, right.to_numpy(dtype=np.float64, na_value=np.nan), seed, agrees)

    @cached_property
    def present(self) -> Mask:
        """(n, m) whether the value is there."""
        finite = np.isfinite(self.values)
        return np.asarray(finite if finite.ndim == 2 else finite.all(2))

    def among(self, methods: Collection[str]) -> Mask:
        """(n,) images on which one of `methods` has a value."""
        return np.asarray(self.present[:, self._columns(methods)].any(1))

    @property
    def pool(self) -> Pool | None:
        pool = self.metric.pool
        return (lambda vectors: float(pool(torch.from_numpy(vectors)))) if pool else None

    @property
    def directed(self) -> bool:
        return self.metric.better != "none"

    def cells(self) -> dict[str, Cell]:
        """Every method's value, interval and split, by method; methods without any value are left out."""
        return {
            self.methods[column]: Cell(
                value=self._scaled(values),
                low=self.metric.scale * low,
                high=self.metric.scale * high,
                n=len(values),
                right=self._over(column, self.right == 1),
                wrong=self._over(column, self.right == 0),
                agreed=self._scaled_over(self.values[agreed, column]),
                agreed_n=int(agreed.sum()),
            )
            for images, columns in same_images(self.present)
            for column in map(int, columns)
            for values in [np.ascontiguousarray(self.values[images, column])]
            for low, high in [self._interval(values, images, column)]
            for agreed in [self._agreed(column)]
        }

    def losses(self, methods: Sequence[str], images: Mask) -> tuple[Array, Array]:
        """(m,) values of `methods` over `images`, lower = better, and their (RESAMPLES, m) replicates.

        Every method has a value for each of `images`. Resamples are of all images of the panel, so that those of
        different metrics belong together.
        """
        columns = self._columns(methods)
        points = np.array([self._loss(column, images) for column in columns])
        return points, self._sign * self._replicates(images, columns)

    def control_win(self, methods: Sequence[str], controls: Sequence[str]) -> ControlWin | None:
        """The best of the controls that lie strictly before every method, each two compared over the images of both.

        None where a method and the control have no image in common.
        """
        columns = [column for column in self._columns(methods) if self.present[:, column].any()]
        if not self.directed or not columns:
            return None
        wins = []
        for control in self._columns(controls):
            own = self.present[:, control]
            shared = [own & self.present[:, column] for column in columns]
            if all(
                images.any() and self._loss(control, images) < self._loss(column, images)
                for images, column in zip(shared, columns, strict=True)
            ):
                value = self._scaled(self.values[own, control])
                win = ControlWin(self.methods[control], value, min(int(x.sum()) for x in shared), int(own.sum()))
                wins.append((self._loss(control, own), win))
        return min(wins, key=lambda win: win[0])[1] if wins else None

    def best(self, methods: Sequence[str]) -> list[str]:
        """The 95 % model confidence set among `methods`, every two compared over the images of both.

        Methods are left out, fewest images first, until every two share at least 100; empty when fewer than two
        methods remain.
        """
        columns = self._columns(methods) if self.directed else []
        shared = self.present.T.astype(int) @ self.present
        while columns and shared[np.ix_(columns, columns)].min() < FEWEST:
            columns.remove(min(columns, key=lambda column: shared[column, column]))
        if len(columns) < 2:
            return []
        m = len(columns)
        losses, replicated = np.zeros((m, m)), np.zeros((RESAMPLES, m, m))
        first, second = np.triu_indices(m, 1)
        present = self.present[:, columns]
        for images, pairs in same_images(present[:, first] & present[:, second]):
            i, j = first[pairs], second[pairs]
            used, position = np.unique([i, j], return_inverse=True)
            left, right = position.reshape(2, -1)
            points, again = self.losses([self.methods[columns[column]] for column in used], images)
            losses[i, j], replicated[:, i, j] = points[left] - points[right], again[:, left] - again[:, right]
        kept = confidence_set(losses - losses.T, replicated - replicated.transpose(0, 2, 1))
        return [self.methods[column] for column, keep in zip(columns, kept, strict=True) if keep]

    def differences(self, methods: Sequence[str], reference: str) -> list[Difference]:
        """`methods` minus `reference`, each over the images of both, with Holm's adjustment over `methods`."""
        if not self.directed:
            return []
        base, others = self.methods.index(reference), self._columns(methods)
        found = {}
        for images, columns in same_images(self.present[:, others] & self.present[:, [base]]):
            chosen = [others[column] for column in columns]
            n, pairs = (
                int(images.sum()),
                np.stack([self.values[images][:, chosen], self.values[images][:, [base] * len(chosen)]], 2),
            )
            for column, result in zip(chosen, self._differences(pairs), strict=True):
                found[self.methods[column]] = (*result, n)
        adjusted = dict(zip(found, holm([p for *_, p, _ in found.values()]), strict=True))
        name, scale = self.metric.name, self.metric.scale
        return [
            Difference(method, name, scale * value, scale * low, scale * high, p, float(adjusted[method]), n)
            for method in methods
            if method in found
            for value, low, high, p, n in [found[method]]
        ]

    def _differences(self, pairs: Array) -> list[tuple[float, float, float, float]]:
        """(n, m, 2) or (n, m, 2, V), method and reference: difference, low, high and p of each of the m."""
        pool, columns = self.pool, range(pairs.shape[1])
        if pool is None:
            values = pairs[..., 0] - pairs[..., 1]
            p = sign_flip(values, self.seed)
            ends = [mean_difference_interval(self.metric, values[:, i]) for i in columns]
            return [(estimate(values[:, i]), *ends[i], float(p[i])) for i in columns]

        def contrast(pair: Array) -> float:
            return pool(np.ascontiguousarray(pair[:, 0])) - pool(np.ascontiguousarray(pair[:, 1]))

        replicated = replicates(pairs, self.seed, contrast)
        return [
            (
                contrast(pairs[:, i]),
                *bca(pairs[:, i], replicated[:, i], contrast),
                swap_test(pairs[:, i, 0], pairs[:, i, 1], pool, self.seed),
            )
            for i in columns
        ]

    def _interval(self, values: Array, images: Mask, column: int) -> tuple[float, float]:
        if self.pool is None:
            return value_interval(self.metric, values)
        whole = images.all()
        drawn = self._replicates(images, [column]) if whole else replicates(values[:, None], self.seed, self.pool)
        return bca(values, drawn[:, 0], self.pool)

    def _replicates(self, images: Mask, columns: Sequence[int]) -> Array:
        """(RESAMPLES, m) replicates of the columns over `images`; ranks, confidence set and intervals share them."""
        place = images.tobytes()
        if new := [column for column in columns if (place, column) not in self._resampled]:
            again = replicates(self.values[:, new], self.seed, self.pool, images)
            self._resampled.update({(place, column): again[:, i] for i, column in enumerate(new)})
        return np.stack([self._resampled[place, column] for column in columns], 1)

    @property
    def _sign(self) -> float:
        return 1.0 if self.metric.better == "lower" else -1.0

    def _loss(self, column: int, images: Mask) -> float:
        """The value over `images`, lower = better."""
        return self._sign * estimate(self.values[images, column], self.pool)

    def _scaled(self, values: Array) -> float:
        return self.metric.scale * estimate(values, self.pool)

    def _over(self, column: int, which: Mask) -> float:
        chosen = which & self.present[:, column]
        return self._scaled(self.values[chosen, column]) if self.metric.by_correctness and chosen.any() else np.nan

    def _agreed(self, column: int) -> Mask:
        """(n,) images with a value on which the judge agrees."""
        present = self.present[:, column]
        return (self.agrees[:, column] == 1) & present if self.agrees.size else np.zeros_like(present)

    def _scaled_over(self, values: Array) -> float:
        return self._scaled(values) if len(values) else np.nan

    def _columns(self, methods: Collection[str]) -> list[int]:
        return [self.methods.index(method) for method in methods]


def value_interval(metric: Metric, values: Array) -> tuple[float, float]:
    """95 % interval of the mean of a metric's (n,) values."""
    return wilson(round(float(values.sum())), len(values)) if metric.rate else mean_interval(values, metric.bounds)


def mean_difference_interval(metric: Metric, differences: Array) -> tuple[float, float]:
    """95 % interval of the mean of (n,) differences of a metric's values."""
    if metric.rate:
        return rate_difference_interval(differences)
    return difference_interval(differences, metric.bounds[1] - metric.bounds[0])


def same_images(present: Mask) -> Iterator[tuple[Mask, NDArray[np.intp]]]:
    """Columns grouped by the images that they have, (mask of the images, columns); those without any are left out."""
    groups: dict[bytes, list[int]] = {}
    for column, mask in enumerate(present.T):
        if mask.any():
            groups.setdefault(mask.tobytes(), []).append(column)
    return ((present[:, columns[0]], np.array(columns)) for columns in groups.values())


def stacked(vectors: pd.DataFrame) -> Array:
    """Cells that hold vectors (or nothing) as (n, m, V), NaN where there is nothing."""
    arrays = [[None if np.ndim(v) == 0 else np.asarray(v, dtype=np.float64) for v in row] for row in vectors.to_numpy()]
    size = max((len(v) for row in arrays for v in row if v is not None), default=0)
    nothing = np.full(size, np.nan)
    return np.array([[nothing if v is None else v for v in row] for row in arrays]).reshape(*vectors.shape, size)
