"""The job: one source of maps × one fixed chunk of images, a pure function from pixels to rows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import torch

from bench.core.classifier import Classifier
from bench.core.errors import Interrupted, foreign, reason
from bench.core.explainer import MapOrder
from bench.core.metric import Case, Explain, MapMetric, Metric, ScoreMetric, Scores, Value
from bench.core.protocols import RANKED, Protocol
from bench.core.seeds import seed_for
from bench.scoring.guard import Changed, Guard
from bench.scoring.judge import Judge
from bench.scoring.normalise import normalise, tied_shares
from bench.scoring.scorer import Scorer
from bench.scoring.shared_scores import SharedScores
from bench.scoring.sources import Item, Source


@dataclass(frozen=True)
class ScoringContext:
    """What all jobs of a run share."""

    classifier: Classifier
    protocol: Protocol
    run_seed: int
    batch: int
    judges: Sequence[Judge] = ()
    map_dtype: torch.dtype = torch.float16
    """In which raw maps of more than SMALL values are kept."""
    ends: SharedScores = field(default_factory=SharedScores, compare=False)
    """What all sources of a chunk share."""
    guard: Guard | None = field(default=None, compare=False)
    """Holds explainers and metrics to leaving everything as it was."""

    def rules(self, source: Source) -> Protocol:
        """The protocol with the class that the source's row explains."""
        target = source.target
        return self.protocol if target is None else dataclasses.replace(self.protocol, target=target.choice)

    def order(self, source: Source) -> MapOrder:
        return source.order if self.protocol.maps == "paper" else self.protocol.maps


def choose_targets(clean: torch.Tensor, items: Sequence[Item], target: str) -> torch.Tensor:
    """(B, C) log-probabilities to the (B,) classes that the protocol explains."""
    if target == "true":
        return torch.tensor([item.label for item in items])
    if target == "predicted":
        return clean.argmax(1)
    if target in RANKED:
        return clean.sort(stable=True, dim=1, descending=True).indices[:, RANKED.index(target)]
    if target == "least":
        return clean.argmin(1)
    return torch.full((len(items),), int(target))


def evaluate(
    context: ScoringContext,
    source: Source,
    items: Sequence[Item],
    clean: torch.Tensor,
    metrics: Sequence[Metric],
    failures: dict[str, str] | None = None,
    stored: Sequence[torch.Tensor] | None = None,
) -> tuple[list[dict[str, Any]], dict[str, torch.Tensor]]:
    """Explain → normalise → metrics ask, scorer answers → rows.

    An image for which the network's answer is not finite has no value of any metric: its class is unknown. A score
    metric has none either where an answer for a derived image is not finite.

    Args:
        items: at most `context.batch` images; fewer are filled up for explainers that take a batch at once.
        clean: (B, C) float64 log-probabilities of the images by `Classifier.exact`, which choose the classes, so that
            every scoring precision explains the same.
        failures: receives, by the metric's tag, why a metric failed, whose column the rows then lack; without it the
            exception is raised.
        stored: the items' raw maps, where they are known already: nothing is explained then.

    Returns:
        A row per item (target, right, degenerate, tied, the top classes of the masked image as `SHOWN` says, a column
        per metric, `NAME_vector` for curves and pooled
        metrics) and, by item id, the raw map as `kept` keeps it.
    """
    classifier, protocol, guard = context.classifier, context.rules(source), context.guard
    if guard:
        guard.watch([tensor for item in items for tensor in (item.image, item.boxes, item.mask) if tensor is not None])
    targets = choose_targets(clean, items, protocol.target)
    if stored is None:
        raw = explained(context, source, items, targets)
        if guard:
            guard.check(deep=True)
    else:
        raw = [saliency.to(classifier.device) for saliency in stored]
    maps, kinds = normalise(raw, classifier.input_size, context.order(source), protocol.area)
    tops = clean.argmax(1).tolist()
    cases = [
        Case(item.image, saliency, raw_map, target, item.label, protocol, classifier.mean,
             seed_for(context.run_seed, item.digest, "ties"), top, item.boxes, item.mask, item.fills)
        for item, saliency, raw_map, target, top in zip(items, maps, raw, targets.tolist(), tops, strict=True)
    ]  # fmt: skip
    lost = Lost(failures, guard)
    shown: list[dict[str, Any]] = [{} for _ in cases]
    values = measure(context, source, items, cases, clean, metrics, lost, shown)
    if guard:
        guard.check()  # our own metrics once for all; plug-ins were checked one by one
    have = [metric.tag for metric in metrics if metric.tag not in lost.why]
    rows = []
    answers = (clean.isfinite().any(1) & ~clean.isnan().any(1)).tolist()
    probabilities = clean.gather(1, targets[:, None])[:, 0].exp().tolist()
    for item, case, kind, tied, answered, p, measured, top in zip(
        items, cases, kinds, tied_shares(maps), answers, probabilities, values, shown, strict=True
    ):
        row: dict[str, Any] = {
            "image": item.id, "label": item.label, "target": case.target, "p": p,
            "right": case.predicted == item.label if answered and item.label is not None else None,
            "degenerate": kind, "tied": tied, "have": have,
        }  # fmt: skip
        rows.append(row | top | columns(measured if answered else dict.fromkeys(measured, NO_VALUE)))
    if stored is not None:
        return rows, {}
    found = {}
    for item, case, row in zip(items, cases, rows, strict=True):
        found[item.id], row["map_peak"] = kept(case.raw_map, context.map_dtype)
    return rows, found


def explained(
    context: ScoringContext, source: Source, items: Sequence[Item], targets: torch.Tensor
) -> torch.Tensor | Sequence[torch.Tensor]:
    """The raw maps of the items; the batch is filled up where the source wants that."""
    more = context.batch - len(items) if source.padded else 0
    batch, batch_targets = [*items, *[items[-1]] * more], torch.cat([targets, targets[-1:].expand(more)])
    classifier = context.classifier
    return source.maps(classifier, batch, batch_targets.to(classifier.device), context.run_seed)[: len(items)]


def columns(values: Mapping[str, Value]) -> dict[str, Any]:
    """Metric values by column as a row holds them: NAME, and NAME_vector for curves and pooled metrics."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found[name] = value.value
        if value.vector is not None:
            found[f"{name}_vector"] = value.vector.double().cpu().numpy()
    return found


SMALL = 56 * 56
"""Maps of so many values are kept as they are, in float32, so that their scores can be computed again."""


def kept(raw: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, float]:
    """A raw map as it is stored, and the factor that gives it back. A large one is scaled to a largest magnitude of 1
    first, so that small gradients survive float16."""
    if raw.numel() <= SMALL or dtype == torch.float32:
        return raw.float().cpu().contiguous(), 1.0
    peak = float(raw.abs().nan_to_num(0, 0, 0).max())
    return (raw / peak if peak > 0 else raw).to(dtype).cpu().contiguous(), peak if peak > 0 else 1.0


M = TypeVar("M", bound=Metric)


class Lost:
    """Metrics that raised an exception or changed what they must leave alone, by tag, and why: only their columns are
    lost."""

    def __init__(self, why: dict[str, str] | None, guard: Guard | None):
        self.raises = why is None
        self.why: dict[str, str] = {} if why is None else why
        self.guard = guard

    @contextmanager
    def catching(self, *metrics: Metric) -> Iterator[None]:
        """Note what goes wrong inside the block as a failure of these metrics, but for running out of memory."""
        try:
            yield
            if self.guard and any(metric.source for metric in metrics):
                self.guard.check(deep=True)
        except (torch.OutOfMemoryError, MemoryError, Interrupted):
            raise
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            if self.raises or not foreign(error):
                raise
            self.why |= {metric.tag: reason(error) for metric in metrics}
            if self.guard:
                with suppress(Changed):
                    self.guard.check(deep=True)

    def kept(self, metrics: Sequence[M]) -> list[M]:
        return [metric for metric in metrics if metric.tag not in self.why]


def measure(
    context: ScoringContext,
    source: Source,
    items: Sequence[Item],
    cases: Sequence[Case],
    clean: torch.Tensor,
    metrics: Sequence[Metric],
    lost: Lost,
    shown: Sequence[dict[str, Any]],
) -> list[dict[str, Value]]:
    """Every metric's value for every case, by the metric's column; `shown` receives the explained network's top
    classes."""
    found: list[dict[str, Value]] = [{} for _ in cases]
    own = None if context.classifier.scoring_key else clean
    fill_scores(found, context, context.classifier, items, cases, own, [m for m in metrics if not m.judge], lost, shown)
    judges = {judge.key: judge for judge in context.judges}
    for key in dict.fromkeys(metric.judge for metric in metrics if metric.judge):
        if key not in judges:
            raise ValueError("the metrics name another judge than the run")
        asked = [metric for metric in metrics if metric.judge == key]
        net = judges[key].classifier
        fill_scores(found, context, net, items, cases, None, asked, lost)
        tops = context.ends.scores(net, context.batch, None, cases, [item.digest for item in items]).argmax(1)
        for row, top in zip(shown, tops.tolist(), strict=True):
            row[top_column(key)] = top
    for metric in metrics:
        if isinstance(metric, ScoreMetric):
            continue
        with lost.catching(metric):
            for item, case, values in zip(items, cases, found, strict=True):
                if isinstance(metric, MapMetric):
                    values[metric.column] = as_value(metric.function(case))
                else:
                    explain = explain_again(context, source, item, case)
                    values[metric.column] = as_value(metric.function(case, explain, context.classifier))
    gone = {metric.column for metric in metrics if metric.tag in lost.why}
    return [{column: value for column, value in values.items() if column not in gone} for values in found]


def fill_scores(
    found: Sequence[dict[str, Value]],
    context: ScoringContext,
    classifier: Classifier,
    items: Sequence[Item],
    cases: Sequence[Case],
    clean: torch.Tensor | None,
    metrics: Sequence[Metric],
    lost: Lost,
    shown: Sequence[dict[str, Any]] | None = None,
) -> None:
    """Put every score metric's value for every case into `found`, by the answers of `classifier`; metrics that derive
    the same images share their scores. `clean` are its answers for the untouched images, None where it has not been
    asked yet. `shown` receives the top classes of what is derived as a single image."""
    asking = [metric for metric in metrics if isinstance(metric, ScoreMetric)]
    ways = list(dict.fromkeys(metric.derive for metric in asking))
    if not ways:
        return
    counts: list[int] = []

    def derived() -> Iterator[torch.Tensor]:
        for case in cases:
            for derive in ways:
                counts.append(0)
                users = [metric for metric in asking if metric.derive is derive]
                if not lost.kept(users):
                    continue
                with lost.catching(*users):
                    for block in derive(case):
                        check_block(block, case)
                        counts[-1] += len(block)
                        yield block

    parts = iter(Scorer(classifier, context.batch).score(derived()).split(counts))
    end_of = partial(context.ends.scores, classifier, context.batch, cases=cases, digests=[i.digest for i in items])
    fills = {metric.whole_fill(context.protocol) for metric in asking if metric.whole_fill}
    ends = {fill: end_of(fill) for fill in fills}
    clean = end_of(None) if clean is None else clean
    for i, (case, log_p, values) in enumerate(zip(cases, clean, found, strict=True)):
        answers = {derive: next(parts) for derive in ways}
        if shown is not None:
            for derive, rows in answers.items():
                shown[i].update(top_classes(getattr(derive, "__name__", "derived"), rows) if len(rows) == 1 else {})
        for metric in lost.kept(asking):
            end = ends[metric.whole_fill(context.protocol)][i] if metric.whole_fill else None
            scores = Scores(log_p, answers[metric.derive], case, end)
            with lost.catching(metric):
                values[metric.column] = as_value(metric.function(scores)) if scores.finite else NO_VALUE


def top_column(judge: str) -> str:
    """Where a row keeps the likeliest class of a judge, by its key, for the untouched image."""
    return f"top {judge}"


SHOWN = 5


def top_classes(name: str, log_p: torch.Tensor) -> dict[str, Any]:
    """The likeliest classes and their probabilities, of (1, C) log-probabilities, as columns NAME_top and NAME_top_p.
    They are what a page shows of a masked image; no metric depends on them."""
    values, classes = log_p[0].topk(min(SHOWN, log_p.shape[1]))
    return {f"{name}_top": classes.tolist(), f"{name}_top_p": values.exp().tolist()}


def check_block(block: object, case: Case) -> None:
    """Raises ValueError for what a metric must not derive."""
    if not isinstance(block, torch.Tensor) or block.shape[1:] != case.image.shape:
        shape = tuple(block.shape) if isinstance(block, torch.Tensor) else type(block).__name__
        raise ValueError(f"it derives {shape}; derived images are (n, {', '.join(map(str, case.image.shape))})")


NO_VALUE = Value(math.nan)


def as_value(value: float | Value) -> Value:
    return value if isinstance(value, Value) else Value(float(value))


def explain_again(context: ScoringContext, source: Source, item: Item, case: Case) -> Explain:
    """The callable that re-explain metrics receive: same source and seeds, other pixels or parameters, an image at a
    time."""

    def explain(images: torch.Tensor, targets: torch.Tensor | None = None) -> torch.Tensor:
        classes = torch.full((len(images),), case.target) if targets is None else targets
        maps: list[torch.Tensor] = []
        for image, target in zip(images, classes.to(context.classifier.device), strict=True):
            again = dataclasses.replace(item, image=image)
            maps.extend(source.maps(context.classifier, [again], target[None], context.run_seed))
        net, area = context.classifier, context.protocol.area
        return normalise(maps, net.input_size, context.order(source), area)[0]

    return explain
