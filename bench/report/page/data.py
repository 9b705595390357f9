"""What the page's scripts need of a run, as JSON: small maps in 8 bits, images as JPEG, curves, answers, values."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from scipy.special import stdtrit

from bench.core.explainer import MapOrder
from bench.core.metric import Metric
from bench.core.seeds import content_hash
from bench.report.evidence import Evidence, Map, Picture
from bench.report.tiles import colours

SIDE, BUDGET = 56, 3_000_000
"""Larger maps are averaged down to this side, and further until the maps of all images fit so many bytes."""
IMAGES = 150
"""Images of the gallery at most: the first by hash."""
NATIVE: tuple[MapOrder, ...] = ("positive", "two-step", "min-max-then-up")
"""Orders under which the positive part at its own resolution, upsampled and stretched, is the scored map."""
QUALITY = 80
CURVES = ("I", "D")


def payload(evidence: Evidence) -> dict[str, Any]:
    """All that the scripts read; `images` is empty where no image can be shown."""
    methods = [line.method.label for line, _ in evidence.board.folded]
    names = {line.method.label: name for line, name in evidence.board.folded}
    known = list(evidence.images.id.astype(str))
    taken = set(sorted(known, key=lambda image: content_hash("page", image))[:IMAGES])
    side = min(SIDE, max(14, math.isqrt(BUDGET // max(1, len(taken) * len(methods)))))
    images = [found for image in known if image in taken and (found := picture(evidence, image, methods, side))]
    metrics = [metric for metric in evidence.board.metrics if not metric.pool]
    return {
        "methods": [{"label": label, "name": names[label], "control": line.method.control, "T": line.method.seconds}
                    for line, label in ((line, line.method.label) for line, _ in evidence.board.folded)],
        "metrics": [{"name": m.name, "title": m.title, "better": m.better, "scale": m.scale} for m in metrics],
        "values": values(evidence.rows, methods, metrics),
        "t": [None, None, *(round(float(stdtrit(n - 1, 0.975)), 5) for n in range(2, evidence.board.images + 1))],
        "differences": [[d.method, d.metric, tidy(d.difference), tidy(d.low), tidy(d.high), tidy(d.p_holm), d.n]
                        for d in evidence.board.differences],
        "images": images, "classes": class_names(evidence), "size": evidence.size,
        "colours": encoded(colours(False)), "deletionEnd": evidence.board.protocol.deletion_end,
        "masked": evidence.board.protocol.masked_out,
    }  # fmt: skip


def picture(evidence: Evidence, image: str, methods: Sequence[str], side: int) -> dict[str, Any] | None:
    """An image, the network's answer and a cell per method; None where the image cannot be shown."""
    shown = evidence.load(image)
    rows = evidence.rows[(evidence.rows.image == image) & evidence.rows.method.isin(methods)]
    if shown is None or rows.empty:
        return None
    maps = small_maps(evidence, image, methods, side)
    first = rows.iloc[0]
    return {
        "id": image, "jpeg": jpeg(shown), "label": whole(first.label), "target": whole(first.target),
        "p": tidy(first.p), "right": None if pd.isna(first.right) else bool(first.right),
        "top": [[c, tidy(p)] for c, p in evidence.top(image)],
        "cells": {methods.index(row.method): cell(row, maps.get(row.method)) for row in rows.itertuples()},
    }  # fmt: skip


def cell(row: Any, small: Map | None) -> dict[str, Any]:
    found: dict[str, Any] = {"degenerate": row.degenerate} if row.degenerate else {}
    if small is not None:
        found |= {"map": encoded((small * 255).round().astype(np.uint8)), "side": list(small.shape)}
    if isinstance(row.masked_image_top, Sequence | np.ndarray):
        pairs = zip(row.masked_image_top, row.masked_image_top_p, strict=True)
        found["after"] = [[int(c), tidy(p)] for c, p in pairs]
    for name in CURVES:
        vector = getattr(row, f"{name}_vector", None)
        if isinstance(vector, Sequence | np.ndarray):
            found[name] = [tidy(value, 3) for value in vector]
    return found


def small_maps(evidence: Evidence, image: str, methods: Sequence[str], side: int) -> dict[str, Map]:
    """Maps in [0, 1] at most `side` wide: the positive part at its own resolution, else the scored map averaged."""
    raw = evidence.raw_maps(image, methods)
    plain = not evidence.board.protocol.area
    native = {m: one for m, one in raw.items() if plain and evidence.orders[m] in NATIVE and max(one.shape) <= side}
    found = {method: stretched(one.relu()) for method, one in native.items()}
    for method, large in evidence.maps(image, [m for m in raw if m not in native]).items():
        pooled = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(large)[None], side)[0]
        found[method] = stretched(pooled) if pooled.max() > pooled.min() else pooled.numpy()
    return found


def stretched(one: torch.Tensor) -> Map:
    low, high = one.min(), one.max()
    small: Map = ((one - low) / (high - low).clamp_min(1e-12)).nan_to_num().numpy()
    return small


def values(rows: pd.DataFrame, methods: Sequence[str], metrics: Sequence[Metric]) -> dict[str, Any]:
    """By metric, image and method (its place): the value in the table's units."""
    found: dict[str, Any] = {}
    for metric in metrics:
        kept = rows[rows.method.isin(methods)][["image", "method", metric.name]]
        by_image: dict[str, dict[int, float | None]] = {}
        for row in kept.itertuples(index=False):
            by_image.setdefault(str(row[0]), {})[methods.index(str(row[1]))] = tidy(metric.scale * float(row[2]), 4)
        found[metric.name] = by_image
    return found


def class_names(evidence: Evidence) -> Mapping[int, str]:
    """Names of the classes that the page mentions."""
    rows = evidence.rows
    used = {int(value) for column in ("label", "target") for value in rows[column].dropna()}
    used |= {int(c) for top in rows.masked_image_top if isinstance(top, Sequence | np.ndarray) for c in top}
    used |= {c for image in evidence.log_probabilities for c, _ in evidence.top(image)}
    return {index: evidence.class_name(index) for index in sorted(used)}


def jpeg(shown: Picture) -> str:
    buffer = io.BytesIO()
    Image.fromarray(shown.pixels).save(buffer, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def encoded(array: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def tidy(value: Any, digits: int = 4) -> float | None:
    """A number of so many significant digits; None for what is none."""
    return float(f"{value:.{digits}g}") if value is not None and math.isfinite(value) else None


def whole(value: Any) -> int | None:
    return None if pd.isna(value) else int(value)
