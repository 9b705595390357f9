"""The timing pass: seconds, passes and peak memory per image, apart from the scored run."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import torch

from bench.core.classifier import Classifier
from bench.core.device import device_name, synchronise
from bench.core.errors import FOREIGN_ERRORS, foreign, reason
from bench.core.progress import progress
from bench.core.seeds import content_hash
from bench.run.request import Request
from bench.run.store import Store
from bench.scoring.evaluate import ScoringContext, choose_targets
from bench.scoring.guard import Changed
from bench.scoring.sources import ExplainerSource, Item, Source, layer_of

IMAGES = 20
COLUMNS = ("method", "batch", "seconds", "seconds_low", "seconds_high", "images", "forward", "head", "backward",
           "peak_bytes", "device", "dtype", "stored_at")  # fmt: skip
"""What a stored timing holds."""
SECONDS = 2.0
"""At most so many images are timed, and after so many seconds no further one, per explainer and batch size."""


def timed(context: ScoringContext, source: ExplainerSource, items: Sequence[Item], targets: torch.Tensor) -> float:
    """Seconds for one call, from images on the device to maps on the device."""
    synchronise(context.classifier.device)
    start = time.perf_counter()
    source.maps(context.classifier, items, targets, context.run_seed)
    synchronise(context.classifier.device)
    return time.perf_counter() - start


def peak_memory(classifier: Classifier) -> int:
    """Bytes: the most that tensors held on the GPU since the last reset; on a CPU the process' high-water mark."""
    if classifier.device.type == "cuda":
        return torch.cuda.max_memory_allocated(classifier.device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def cyclic(images: int, batch: int) -> list[list[int]]:
    """Indices of full batches that visit every image at least once, starting over where they run out."""
    return [[i % images for i in range(start, start + batch)] for start in range(0, images, batch)]


def time_source(
    context: ScoringContext,
    source: ExplainerSource,
    items: Sequence[Item],
    targets: torch.Tensor,
    seconds: float = SECONDS,
) -> list[dict[str, Any]]:
    """One row for batch 1 and one for the run's batch: median and quartiles of seconds per image over at most 20
    images, counted passes per image, peak memory. The first call of each batch size warms up and is not counted; one
    call at least is. A batch that would take over twice `seconds` at the speed of batch 1 is left out.
    """
    classifier, rows = context.classifier, []
    targets = targets.to(classifier.device)
    for batch in dict.fromkeys((1, context.batch)):
        if classifier.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(classifier.device)
        parts = cyclic(min(IMAGES, len(items)), batch)
        with classifier.tally() as tally:
            timed(context, source, [items[i] for i in parts[0]], targets[parts[0]])
        begin, samples = time.perf_counter(), list[float]()
        for part in parts:
            if samples and time.perf_counter() - begin > seconds:
                break
            samples.append(timed(context, source, [items[i] for i in part], targets[part]) / batch)
        low, median, high = np.percentile(samples, (25, 50, 75))
        rows.append({
            "method": source.label, "batch": batch, "seconds": median, "seconds_low": low, "seconds_high": high,
            "images": len(samples) * batch, "forward": tally.forward / batch,
            "head": tally.head / batch, "backward": tally.backward / batch, "peak_bytes": peak_memory(classifier),
            "device": device_name(classifier.device), "dtype": str(classifier.dtype).removeprefix("torch."),
        })  # fmt: skip
        if median * context.batch > 2 * seconds:
            break
    return rows


def timing_key(request: Request, source: Source, batch: int, device: str = "") -> str:
    """Key of a timing: explainer, classifier, batch and the device it was taken on (this one unless another is named);
    never merged across machines."""
    net = request.classifier
    learned = source.learned(net)
    return content_hash("timing", source.key(""), net.name, net.digest, layer_of(source, net), net.dtype,
                        net.input_size, batch, device or device_name(net.device), torch.__version__, *net.scoring_key,
                        *([learned.digest] if learned else []))  # fmt: skip


def time_sources(
    context: ScoringContext,
    request: Request,
    store: Store,
    sources: Sequence[Source],
    load: Callable[[], tuple[list[Item], torch.Tensor]],
) -> dict[str, str]:
    """Time every explainer not timed on this device yet; `load` gives images and their log-probabilities.

    Returns, by label, why an explainer could not be timed.
    """
    known = () if request.force else store.rows("timing").index
    explainers = [source for source in sources if isinstance(source, ExplainerSource)]
    first = {timing_key(request, source, 1): source for source in reversed(explainers)}  # rows of several classes: one
    todo = [source for source in explainers if source in first.values() and timing_key(request, source, 1) not in known]
    if not todo:
        return {}
    failed: dict[str, str] = {}
    items, clean = load()
    if not items:
        return {}
    for source in progress(todo, desc="timing", unit="method", dynamic_ncols=True, disable=not request.progress):
        targets = choose_targets(clean, items, context.rules(source).target)
        try:
            rows = time_source(context, source, items, targets)
            if context.guard:
                context.guard.check(deep=True)
        except FOREIGN_ERRORS as error:
            if not foreign(error):
                raise
            failed[source.label] = reason(error)
            if context.guard:
                with suppress(Changed):
                    context.guard.check(deep=True)
            continue
        keys = [{"key": timing_key(request, source, row["batch"]), "have": ["timing"]} for row in rows]
        store.add("timing", [key | row for key, row in zip(keys, rows, strict=True)])
    return failed


def stored_timings(request: Request, store: Store, sources: Sequence[Source]) -> pd.DataFrame:
    """The stored timings of explainers, a row per explainer and batch size: of this device, or, where it has none, of
    the one that was timed last."""
    frame = store.rows("timing").reindex(columns=COLUMNS).sort_values("stored_at", ascending=False, kind="stable")
    devices = dict.fromkeys([device_name(request.classifier.device), *frame.device.dropna()])
    found: list[tuple[str, str]] = []
    for source in sources:
        if isinstance(source, ExplainerSource):
            for batch in dict.fromkeys((1, request.batch)):
                keys = (timing_key(request, source, batch, device) for device in devices)
                found += [(key, source.label) for key in keys if key in frame.index][:1]
    rows = frame.loc[[key for key, _ in found]].drop(columns="stored_at")
    return rows.assign(method=[label for _, label in found])
