"""From stored rows to the leaderboard of a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bench.core.device import device_name
from bench.run.engine.unit import Outcome
from bench.run.equal_maps import equal_rows
from bench.run.images import Images
from bench.run.judgements import with_judgements
from bench.run.provenance import provenance
from bench.run.request import Request
from bench.run.store import Store
from bench.run.timing import stored_timings
from bench.scoring.evaluate import top_column
from bench.scoring.sources import Source
from bench.tables.accuracy import Accuracy
from bench.tables.leaderboard import REFERENCE, Leaderboard, MethodRow, build_leaderboard

COLUMN_SUFFIXES = ("", "_vector")
"""What a row holds of a metric: its value and, for curves and pooled metrics, the vector behind it."""

FACTS = ("key", "method", "image", "have", "label", "target", "p", "right", "degenerate", "tied", "device", "maps_file",
         "rounded", "masked_image_top", "masked_image_top_p")  # fmt: skip
"""What a row holds besides; a column that no stored row has is there too, and empty."""


def asked_rows(request: Request, images: Images, store: Store, outcomes: dict[str, Outcome]) -> pd.DataFrame:
    """The stored rows that this request asked for, a row per method × image, not all that is stored: the columns FACTS
    and, by the metric's name, a value and a vector per metric.

    Values of another version of their metric are blank.
    """
    stored = store.rows("scores")
    parts = [stored.iloc[:0].assign(method="", image="")]
    for source in request.sources:
        if outcomes[source.label].status == "ok":
            by_key: dict[str, list[str]] = {}  # copies of one file with one label have one key
            for key, image in zip(images.score_keys(source), images.table.id, strict=True):
                by_key.setdefault(key, []).append(image)
            found = [(key, image) for key in stored.index.intersection(list(by_key)) for image in by_key[key]]
            part = stored.loc[[key for key, _ in found]]
            parts.append(part.assign(method=source.label, image=[image for _, image in found]))
    names = {m.column + suffix: m.name + suffix for m in request.metrics for suffix in COLUMN_SUFFIXES}
    scores = pd.concat(parts).rename(columns=names)
    columns = [*FACTS, *(metric.name + end for metric in request.metrics for end in COLUMN_SUFFIXES)]
    columns += [top_column(judge.key) for judge in request.judges]
    scores = scores.rename_axis("key").reset_index().reindex(columns=columns)
    for metric in request.metrics:
        current = np.array([metric.tag in have for have in scores.have], dtype=bool)
        scores[metric.name] = scores[metric.name].astype("float64").where(current)
        scores[f"{metric.name}_vector"] = scores[f"{metric.name}_vector"].astype(object).where(current, None)
    return with_judgements(scores, request.columns)


def leaderboard(
    request: Request, images: Images, store: Store, outcomes: dict[str, Outcome], scores: pd.DataFrame
) -> Leaderboard:
    """The table of a request, from its rows, see `asked_rows`."""
    timings = stored_timings(request, store, [s for s in request.sources if outcomes[s.label].status == "ok"])
    known = {*scores.method, *(timings.method if request.timing else ())}
    none = Outcome("skipped", "nothing is stored yet")
    outcomes = {k: none if v.status == "ok" and k not in known else v for k, v in outcomes.items()}
    named_first = sorted(request.sources, key=lambda source: source.label != REFERENCE)
    orders = {s.label: request.context.order(s) for s in named_first if outcomes[s.label].status == "ok"}
    equal = equal_rows(store, scores, orders, request.classifier.input_size, [m.name for m in request.metrics])
    here = device_name(request.classifier.device)
    single = {row.method: row for row in timings[timings.batch == 1].itertuples()}
    rows = []
    for source in request.sources:
        outcome, facts = outcomes[source.label], dict[str, Any]()
        if outcome.status == "ok":
            facts["passes"] = str(source.cost(request.classifier))
            if learned := source.learned(request.classifier):
                facts["trained_on"] = f"{learned.trained_on}; {learned.cost}"
            if timing := single.get(source.label):
                facts |= {name: getattr(timing, name) for name in ("seconds", "seconds_low", "seconds_high")}
                facts["timed_on"] = "" if timing.device == here else timing.device
        rows.append(MethodRow(source.label, source.control, outcome.status, outcome.reason,
                              equal.get(source.label), sees_boxes=source.sees_boxes, **facts))  # fmt: skip
    facts = provenance(request, images)
    remarks = barred(request, [s for s in request.sources if outcomes[s.label].status == "ok"])
    accuracy = Accuracy.of(scores, request.classifier.num_classes)
    if accuracy:
        facts["top-1"] = str(accuracy)
    remarks += [*([accuracy.warning] if accuracy and accuracy.warning else []), *devices(scores), *rounded(scores)]
    board = build_leaderboard(rows, scores, request.columns, request.protocol, facts, request.seed)
    return replace(board, notes=[*request.remarks, *images.remarks, *remarks, *board.notes])


def barred(request: Request, sources: Sequence[Source]) -> list[str]:
    """A sentence on each row whose maps a judge helped to make."""
    found = {source.label: [judge.name for judge in request.barred(source)] for source in sources}
    return [f"{label}: {', '.join(names)} helped to make its maps and does not judge them: its cells, and the panel's, "
            "are empty" for label, names in found.items() if names]  # fmt: skip


def rounded(scores: pd.DataFrame) -> list[str]:
    """A sentence on rows with values of stored maps that are rounded."""
    methods = sorted(scores.method[scores.rounded == True].unique()) if "rounded" in scores else []  # noqa: E712
    return (
        [f"some columns were scored from maps stored in float16, up to 0.1 points off: {', '.join(methods)}"]
        if methods
        else []
    )


def devices(scores: pd.DataFrame) -> list[str]:
    """A sentence where rows of the table were computed on several devices or with other numbers of threads, whose
    rounding differs; optimisation amplifies it."""
    if "device" not in scores or scores.device.nunique() < 2:
        return []
    counts = scores.drop_duplicates(["method", "image"]).device.value_counts()
    return ["rows were computed on several devices: " + ", ".join(f"{name} ({n})" for name, n in counts.items())]
