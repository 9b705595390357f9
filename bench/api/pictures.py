"""The pictures of a comparison: the images on which two runs differ most, from the maps that the runs kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from bench.api.results import Results
from bench.core.dataset import Sample, load_dataset
from bench.core.errors import UsageError
from bench.core.metric import METRICS
from bench.core.paths import user_path
from bench.core.protocols import PROTOCOLS
from bench.report.pairs import Pair, plain_map
from bench.run.store import Store
from bench.tables.content import number

SHOWN, SIZE = 6, 224
CROP = 256 / 224
"""The protocols' resizing before the crop."""


def pairs(a: tuple[Results, Path], b: tuple[Results, Path], images: pd.DataFrame) -> list[Pair]:
    """The first rows of `largest`, the largest difference of each method and image once."""
    frame = a[0].frame().reset_index()
    controls = set(frame[frame.control.astype(str).str.lower() == "true"].method)
    kept = (
        images[~images.method.isin(controls)]
        .drop_duplicates(["method", "image"])
        .groupby("metric", sort=False)
        .head(SHOWN // 2)
        .head(SHOWN)
    )
    found = []
    for row in kept.itertuples():
        metric = METRICS[row.metric.partition(" (")[0]].value
        below = f"{row.image}: {row.metric} {number(row.a, metric)} and {number(row.b, metric)}"
        first, second = (kept_map(run, folder, row.method, row.image) for run, folder in (a, b))
        found.append(Pair(row.method, below, first, second, photograph(a[0], row.image)))
    return found


def kept_map(run: Results, folder: Path, method: str, image: str) -> np.ndarray | None:
    """The map behind a cell at SIZE, where the run still has it."""
    rows = run.stored[(run.stored.method == method) & (run.stored.image.astype(str) == image)]
    place = next((home for home in (folder, folder.parent.parent) if (home / "maps").is_dir()), folder)
    maps = Store(place).maps(rows.set_index("key"))
    return next((plain_map(raw.float().numpy(), SIZE) for raw in maps.values()), None)


def run_files(run: Results) -> tuple[Sample, ...]:
    """The images of a run where its command named their folder, as far as that is still there."""
    config = run.provenance.get("config") or {}
    try:
        return load_dataset(str(run.provenance.get("data")), user_path(str(config["data_root"]))).samples
    except (KeyError, UsageError, OSError):
        return ()


def photograph(run: Results, image: str) -> np.ndarray | None:
    """The image as the run's protocol cuts it, where its file is still there."""
    data = run.provenance.get("data")
    samples = load_dataset(data).samples if data == "samples" else run_files(run)
    files = [sample.path for sample in samples if sample.id == image]
    name = str(run.provenance.get("protocol", "")).partition("+")[0]
    cropped = name not in PROTOCOLS or PROTOCOLS[name].value.pixels != "squash"
    for file in files:
        try:
            with Image.open(file) as opened:
                shown = ImageOps.exif_transpose(opened).convert("RGB")
        except OSError:
            continue
        if cropped:
            side = round(SIZE * CROP)
            whole = ImageOps.fit(shown, (side, side), Image.Resampling.BILINEAR)
            edge = (side - SIZE) // 2
            return np.asarray(whole.crop((edge, edge, edge + SIZE, edge + SIZE)))
        return np.asarray(shown.resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    return None
