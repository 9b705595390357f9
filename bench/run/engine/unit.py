"""The unit of work, one source of maps on one fixed chunk of images, and what carrying it out gives."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
import torch

if TYPE_CHECKING:
    from bench.run.request import Request


@dataclass(frozen=True)
class Outcome:
    """What became of a source: ok, skipped, failed or out of memory, and why."""

    status: str = "ok"
    reason: str = ""


class StoredMap(NamedTuple):
    """A raw map in the run's store."""

    file: str
    peak: float
    """The factor that gives the raw map back."""


@dataclass(frozen=True, eq=False)
class Unit:
    """Arguments of a pure function: wherever and however often a unit is carried out, its rows are the same."""

    source: str
    """Label of the source of maps."""
    chunk: int
    """Place of the chunk's first image in the run's order."""
    images: pd.DataFrame
    """The chunk's rows of the run's list of images."""
    keys: tuple[str, ...]
    """Content keys of the rows, in the order of the images."""
    metrics: tuple[str, ...]
    """Tags of the metrics that some row lacks."""
    clean: tuple[np.ndarray, ...] | None
    """The images' log-probabilities, (C,) float64 each, where they are stored already."""
    maps: tuple[StoredMap, ...] = ()
    """Where the images' raw maps lie, in the order of the images, where all are stored already."""


@dataclass(frozen=True, eq=False)
class UnitResult:
    """What became of a unit: its rows, or why there are none."""

    outcome: Outcome = field(default_factory=Outcome)
    rows: Sequence[dict[str, Any]] = ()
    """A row per image that is still there, without its key."""
    maps: dict[str, torch.Tensor] = field(default_factory=dict)
    """Raw maps by image id."""
    clean: tuple[np.ndarray, ...] | None = None
    """Those images' log-probabilities, where the unit came without."""
    gone: Mapping[str, str] = field(default_factory=dict)
    """Why images of the chunk are not what the list says any more, by id."""
    traceback: str = ""
    failures: Mapping[str, str] = field(default_factory=dict)
    """Metrics that failed, by tag, and why; the rows lack their columns."""


Wanted = Callable[[Unit], bool]
"""Asked right before a unit is begun: one that is not wanted any more is dropped."""


class Engine(Protocol):
    """Carries out units and hands over the answers as they come, in any order; it stores nothing.

    Closing the generator ends what is under way. An exception that no unit answers for ends the run.
    """

    def carry_out(
        self, request: Request, units: Sequence[Unit], wanted: Wanted
    ) -> Generator[tuple[Unit, UnitResult], None, None]: ...
