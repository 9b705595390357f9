"""The contract of a metric: three kinds, each sees the raw and the normalised saliency map of one image."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar, get_args

import torch

from bench.core.errors import UsageError
from bench.core.perturb import fill, pixel_ranks, released_ranks
from bench.core.protocols import Hidden, Protocol
from bench.core.registry import Registry
from bench.core.source import source_of

T = TypeVar("T")


class Shared:
    """What metrics have computed of one saliency map, so that the next one need not. The harness makes one per map,
    and it goes with the map."""

    def __init__(self) -> None:
        self._found: dict[Callable[..., Any], Any] = {}

    def once(self, function: Callable[[Case], T], case: Case) -> T:
        """The function's value for the map, computed by whoever asks first."""
        if function not in self._found:
            self._found[function] = function(case)
        value: T = self._found[function]
        return value


def once_per_map(function: Callable[[Case], T]) -> Callable[[Case], T]:
    """Mark a function of a case's map, and of nothing else of the case, as computed once for all metrics."""

    @functools.wraps(function)
    def once(case: Case) -> T:
        return case.shared.once(function, case)

    return once


@dataclass(frozen=True)
class Case:
    """One image with one saliency map, as a metric sees it."""

    image: torch.Tensor
    """(3, H, W) in [0, 1]."""
    map: torch.Tensor
    """(H, W) in [0, 1], normalised as the protocol says."""
    raw_map: torch.Tensor
    """(h, w), as the explainer returned it: signed, any resolution."""
    target: int
    label: int | None
    protocol: Protocol
    mean: torch.Tensor
    """(3,) mean colour of the classifier's training images."""
    seed: int
    """Depends on run seed and image only; decides between tied pixels, alike for every explainer."""
    predicted: int | None = None
    """The classifier's top class for the untouched image."""
    boxes: torch.Tensor | None = None
    """(n, 4) object boxes x0, y0, x1, y1 in pixels of `image`, ends exclusive, not clipped; None without annotation."""
    mask: torch.Tensor | None = None
    """(H, W) uint8 object mask: 0 background, 1 object, 255 to be ignored; None without annotation."""
    fills: dict[Hidden, torch.Tensor] = field(default_factory=dict, compare=False, repr=False)
    """The replaced images made so far; all cases of one image may share them."""
    shared: Shared = field(default_factory=Shared, compare=False, repr=False)
    """What metrics have computed of the map."""

    @cached_property
    def ranks(self) -> torch.Tensor:
        """(H, W) int64: 0 for the most important pixel; ties in seeded random order, or as the protocol has them."""
        return released_ranks(self.map) if self.protocol.ties == "argsort" else pixel_ranks(self.map, self.seed)

    def filled(self, kind: Hidden) -> torch.Tensor:
        """(3, H, W): the image with every pixel replaced as `kind` says."""
        if kind not in self.fills:
            self.fills[kind] = fill(self.image, kind, self.mean, self.seed)
        return self.fills[kind]


class Scores(NamedTuple):
    """What the classifier says of one image and of what a metric derived from it."""

    untouched: torch.Tensor
    """(C,) float64 log-probabilities of the image."""
    derived: torch.Tensor
    """(n, C) float64 log-probabilities of the n derived images, in the order in which they were derived."""
    case: Case
    filled: torch.Tensor | None = None
    """(C,) float64 log-probabilities of the image replaced as a whole, for a metric that has a `whole_fill`."""

    @property
    def finite(self) -> bool:
        """Whether the network has an answer for every image that was asked about: no NaN, which an infinite or
        undefined logit becomes. A probability of 0 is an answer."""
        return not any(rows.isnan().any() for rows in (self.untouched, self.derived, self.filled) if rows is not None)

    @property
    def target(self) -> int:
        return self.case.target

    @property
    def label(self) -> int | None:
        return self.case.label


class Value(NamedTuple):
    """A metric's value for one image and, for pooled metrics and curves, the vector behind it."""

    value: float
    vector: torch.Tensor | None = None


Derive = Callable[[Case], Iterator[torch.Tensor]]
"""Yields derived images, (n, 3, H, W) at a time. Metrics that derive by one function share its scores."""

Count = Callable[[Protocol], int]
WholeFill = Callable[[Protocol], Hidden]
Pool = Callable[[Any], float]
Kind = Literal["map", "score", "re-explain"]
Better = Literal["higher", "lower", "none"]
Needs = Literal["", "boxes", "masks"]


def no_images(protocol: Protocol) -> int:
    return 0


Explain = Callable[..., torch.Tensor]
"""`explain(images)` or `explain(images, targets)`: (B, 3, H, W) to (B, H, W) normalised maps, same explainer, seeds and
classifier."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A column of the leaderboard; each of its subclasses sees something else."""

    kind: ClassVar[str]
    name: str
    function: Callable[..., float | Value]
    better: Better
    title: str
    paper: str
    scale: float = 100.0
    """The table shows scale × mean over images."""
    rate: bool = False
    """Values are 0 or 1: Wilson's interval."""
    bounds: tuple[float, float] = (-math.inf, math.inf)
    """Least and largest possible value, unscaled, as far as they are known; intervals never leave them."""
    by_correctness: bool = False
    """Also shown over rightly and wrongly classified images apart."""
    pool: Pool | None = None
    """For pooled metrics: stacked vectors (N, V) to the value over those images, instead of the mean."""
    needs: Needs = ""
    """Annotation without which an image has no value; such metrics return NaN for an image that lacks it."""
    judge: str = ""
    """Key of the judge that scores the derived images instead of the explained network; "" for none."""
    ranks: bool = True
    """Whether rows are ranked by it; a judge of a panel leaves that to the panel."""
    version: int = 1
    source: str = ""
    """Digest of the code of a plug-in; "" for our own, which has versions."""

    @property
    def column(self) -> str:
        """Where a row keeps the value: the name, with the key of a judge, so that two judges never mix."""
        return f"{self.name} {self.judge}".rstrip()

    @property
    def tag(self) -> str:
        """Column and version, kept beside every stored value."""
        return f"{self.column}@{self.version}" + (f"+{self.source}" if self.source else "")

    @property
    def arrow(self) -> str:
        return {"higher": "↑", "lower": "↓", "none": ""}[self.better]


@dataclass(frozen=True, kw_only=True)
class MapMetric(Metric):
    """`function(case) -> float | Value` of the map itself; no network pass."""

    kind = "map"


@dataclass(frozen=True, kw_only=True)
class ScoreMetric(Metric):
    """`function(scores: Scores) -> float | Value` of the network's answers for what `derive(case)` yields."""

    kind = "score"
    derive: Derive
    n_derived: Count = no_images
    """Number of derived images per image, for the estimate before a run."""
    whole_fill: WholeFill | None = None
    """The fill of the whole image whose score is needed too. It is asked once for all sources."""


@dataclass(frozen=True, kw_only=True)
class PanelMetric(Metric):
    """The mean over the columns of several judges; made of stored columns, never stored itself."""

    kind = "panel"
    parts: tuple[str, ...] = ()
    """Names of the judges' columns."""


@dataclass(frozen=True, kw_only=True)
class ReExplainMetric(Metric):
    """`function(case, explain, classifier) -> float | Value`, which explains again under other circumstances."""

    kind = "re-explain"


DIRECTIONS = get_args(Better)
RESERVED = frozenset(
    ("key", "have", "schema", "stored_at", "method", "image", "label", "right", "target", "p", "degenerate", "tied")
    + ("batch", "device", "maps_file", "T")
)
"""Columns of a row that are no metric."""

METRICS: Registry[Metric] = Registry("metric", "cambench.metrics")

F = TypeVar("F", bound=Callable[..., Any])


def metric(
    name: str,
    *,
    kind: Kind,
    better: Better,
    title: str,
    paper: str,
    derive: Derive | None = None,
    n_derived: Count = no_images,
    whole_fill: WholeFill | None = None,
    scale: float = 100.0,
    rate: bool = False,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    by_correctness: bool = False,
    pool: Pool | None = None,
    needs: Needs = "",
    version: int = 1,
) -> Callable[[F], F]:
    """Register a function as a metric; the keywords are the fields of `MapMetric`, `ScoreMetric` or `ReExplainMetric`,
    as `kind` says. Returns the function unchanged. Raises UsageError for a kind, direction or name that cannot be."""

    def register(function: F) -> F:
        if kind not in KINDS or better not in DIRECTIONS or name in RESERVED:
            raise UsageError(
                f"metric {name!r}: kind is one of {', '.join(KINDS)}, better one of {', '.join(DIRECTIONS)}, "
                f"and the name none of {', '.join(sorted(RESERVED))}"
            )
        if (derive is None) == (kind == "score"):
            raise UsageError(f"metric {name!r}: a metric of kind score has derive=, and no other has")
        asks = {"derive": derive, "n_derived": n_derived, "whole_fill": whole_fill} if derive else {}
        entry = KINDS[kind](
            name=name, function=function, better=better, title=title, paper=paper, scale=scale, rate=rate,
            bounds=bounds, by_correctness=by_correctness, pool=pool, needs=needs, version=version,
            source=source_of(function), **asks,
        )  # fmt: skip
        METRICS.add(name, entry, signature_of=function)
        return function

    return register


KINDS: dict[str, Callable[..., Metric]] = {metric.kind: metric for metric in (MapMetric, ScoreMetric, ReExplainMetric)}
