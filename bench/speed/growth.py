"""How the cost of our own code grows with images, channels, methods and steps."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from bench.core.net.layers import hooked
from bench.speed import ours
from bench.speed.given import Choice, Given, Plain, load
from bench.speed.measurement import Stopwatch, slope
from bench.speed.share import METRIC_NAMES


@dataclass(frozen=True)
class Growth:
    """A line of `growth.csv`: seconds ≈ a · size^slope."""

    work: str
    axis: str
    slope: float
    sizes: str
    seconds: str
    """Of one call at each size, medians."""


def grow(
    work: str, axis: str, sizes: Iterable[int], call_at: Callable[[int], Callable[[], object]], watch: Stopwatch,
    repetitions: int = 3,
) -> Growth:  # fmt: skip
    """Time the work at each size, in turns, after one call at each that is not counted."""
    calls = {size: call_at(size) for size in sizes}
    for call in calls.values():
        call()
    rounds = [{size: watch.time(call)[0] for size, call in calls.items()} for _ in range(repetitions)]
    seconds = [statistics.median(taken[size] for taken in rounds) for size in calls]
    return Growth(
        work, axis, slope(list(calls), seconds), " ".join(map(str, calls)), " ".join(f"{s:.4g}" for s in seconds)
    )


def growths(choice: Choice, given: Given, watch: Stopwatch) -> Iterator[Growth]:
    """The four axes, smaller with `--quick`."""
    quick = choice.quick
    few = 4 if quick else 28
    drawn = torch.rand(8, 1, *given.images.shape[-2:], generator=torch.Generator().manual_seed(0)).to(given.images)
    one = given.first(1)
    images, methods = ((1, 2, 4), (1, 2, 4)) if quick else ((2, 5, 10, 20), (1, 2, 4, 8))
    steps, channels = ((7, 14, 28), (16, 48, 128)) if quick else ((7, 14, 28, 56), (32, 96, 320, 1280))

    def explain(count: int) -> Callable[[], object]:
        return partial(ours.explain, given.first(count), "grad-cam")

    def score(count: int) -> Callable[[], object]:
        return partial(ours.score, one, list(drawn[:count].float()), METRIC_NAMES, ours.curve_rules(few))

    def curves(count: int) -> Callable[[], object]:
        return partial(ours.areas, one, drawn[0].float(), count)

    layers = layers_by_channels(given.plain(choice.precision))
    near = {k: layers[k] for k in sorted({min(layers, key=lambda known: abs(known - wanted)) for wanted in channels})}

    def masks(count: int) -> Callable[[], object]:
        return partial(ours.explain, load(choice, near[count]).first(1), "score-cam")

    yield grow("grad-cam", "images", images, explain, watch)
    yield grow("AD, AG, AI, I and D", "methods", methods, score, watch)
    yield grow("I and D", "steps", steps, curves, watch)
    if len(near) > 1:
        yield grow("score-cam", "channels", near, masks, watch, 1 if quick else 3)


def layers_by_channels(plain: Plain) -> dict[int, str]:
    """Number of maps K to the last module of the net whose output is (B, K, h, w) with more than one position."""
    found: dict[int, str] = {}

    def noting(name: str) -> Callable[..., None]:
        def note(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == 4 and output.shape[-1] > 1:
                found[output.shape[1]] = name

        return note

    with torch.no_grad(), ExitStack() as stack:
        for name, module in plain.net.named_modules():
            if name:
                stack.enter_context(hooked(module, noting(name)))
        plain.net(plain.images[:1])
    return found
