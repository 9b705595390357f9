"""What a command asks for, resolved, and the content keys of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bench.core.classifier import Classifier
from bench.core.dataset import Dataset, Sample
from bench.core.metric import Metric
from bench.core.protocols import Protocol
from bench.core.seeds import content_hash
from bench.data.pixels import geometry
from bench.scoring.evaluate import ScoringContext
from bench.scoring.judge import Judge
from bench.scoring.sources import Source


@dataclass(frozen=True)
class Request:
    """Everything a run depends on. Keys hold what can change a number, never rank, order, batch or world size."""

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
    compute: bool = True
    """False makes the tables of what is stored and computes nothing."""
    command: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The settings that were asked for, as `RunConfig.from_mapping` reads them back."""
    progress: bool = True
    """Whether the estimate and progress bars are shown."""
    remarks: tuple[str, ...] = ()
    """What a reader of the table must know about how the command was understood; printed under it."""

    @property
    def context(self) -> ScoringContext:
        return ScoringContext(self.classifier, self.protocol, self.seed, self.batch, self.judge)

    def clean_key(self, digest: str, size: tuple[int, int] | None = None) -> str:
        """Key of the untouched image's log-probabilities; `digest` is the sha256 of the image file, `size` its width
        and height. Only where the protocol's rule for images of the network's own size matters is it part of the key.
        """
        net, pixels = self.classifier, self.protocol.pixels
        ways = (geometry(*size, pixels, net.input_size, rule) for rule in ("resized", "as-is")) if size else ()
        kept = ("own size",) if len(set(ways)) > 1 and self.protocol.own_size == "as-is" else ()
        return content_hash(
            "clean", digest, net.name, net.digest, net.input_size, net.interpolation, net.mean.tolist(),
            net.std.tolist(), net.dtype, self.protocol.pixels, torch.__version__, *net.key,
            *kept,
        )  # fmt: skip

    def score_key(self, source: Source, sample: Sample, digest: str, size: tuple[int, int] | None = None) -> str:
        """Key of a row of scores: one source on an image as annotated; `digest` and `size` as in `clean_key`."""
        learned = source.learned(self.classifier)
        return content_hash(
            "scores", self.clean_key(digest, size), self.classifier.layer, source.key(sample.id),
            self.context.order(source), self.protocol.key, self.seed, sample.annotation,
            *([learned.digest] if learned else []), *self.classifier.scoring_key,
        )  # fmt: skip
