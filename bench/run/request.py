"""What a command asks for, resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bench.core.classifier import Classifier
from bench.core.dataset import Dataset
from bench.core.metric import Metric, PanelMetric
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
    judges: tuple[Judge, ...] = ()
    """Who scores the metrics of `metrics` that name a judge."""
    panel: tuple[PanelMetric, ...] = ()
    """Columns that are means over judges."""
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
    def columns(self) -> list[Metric]:
        """The metrics of the table: those that are computed, each panel before its judges."""
        own = [metric for metric in self.metrics if not metric.judge]
        return [*own, *self.panel, *(metric for metric in self.metrics if metric.judge)]

    def asked_of(self, source: Source) -> list[Metric]:
        """The metrics of a source: a network that helped to make its maps never judges them."""
        barred = {judge.key for judge in self.barred(source)}
        return [metric for metric in self.metrics if metric.judge not in barred]

    def barred(self, source: Source) -> list[Judge]:
        """The judges that helped to make the maps of a source."""
        helpers = source.helpers(self.classifier) if self.judges else ()
        return [judge for judge in self.judges if judge.helped(helpers)]

    @property
    def context(self) -> ScoringContext:
        return ScoringContext(self.classifier, self.protocol, self.seed, self.batch, self.judges, self.map_dtype)
