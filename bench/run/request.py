"""What a command asks for, resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bench.core.classifier import Classifier
from bench.core.dataset import Dataset
from bench.core.metric import Metric
from bench.core.protocols import Protocol
from bench.run.shown import View
from bench.scoring.evaluate import ScoringContext
from bench.scoring.judge import Judge
from bench.scoring.sources import Source


@dataclass(frozen=True)
class Request:
    """Everything a run depends on."""

    classifier: Classifier
    dataset: Dataset
    protocol: Protocol
    metrics: tuple[Metric, ...]
    sources: tuple[Source, ...]
    out: Path
    limit: int | None = None
    skip: int = 0
    """Images left out, from the first on in the order of the limit."""
    judge: Judge | None = None
    """Who scores the metrics of `metrics` that name a judge."""
    seed: int = 0
    batch: int = 20
    timing: bool = True
    force: bool = False
    map_dtype: torch.dtype = torch.float16
    """In which raw maps are kept."""
    compute: bool = True
    """False makes the tables of what is stored and computes nothing."""
    command: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The settings that were asked for, as `RunConfig.from_mapping` reads them back."""
    progress: bool = True
    """Whether the estimate and progress bars are shown."""
    figure_images: tuple[str, ...] = ()
    """Ids of the images that figures show; empty for a few by hash."""
    report: bool = True
    """Whether figures and page are made."""
    view: View = View()
    """How the table is printed."""
    remarks: tuple[str, ...] = ()
    """What a reader of the table must know about how the command was understood; printed under it."""

    @property
    def context(self) -> ScoringContext:
        return ScoringContext(self.classifier, self.protocol, self.seed, self.batch, self.judge, self.map_dtype)
