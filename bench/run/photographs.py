"""What a run on single photographs leaves: a panel, maps and scores."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from bench.core.files import write_atomic
from bench.data.photographs import photographs
from bench.report.evidence import Evidence
from bench.report.figure import save
from bench.report.panel import Tile, draw_panel, panel_values
from bench.run.build_request import Given, build_request
from bench.run.carry_out import CompletedRun, result
from bench.run.config import DEFAULT_MODEL, RunConfig
from bench.run.evidence import evidence_of
from bench.run.folders import folder
from bench.run.provenance import target_layers
from bench.run.select_judges import NOBODY
from bench.run.timing import stored_timings
from bench.scoring.sources import ExplainerSource, Source, layer_of

SCORES = "scores.csv"


@dataclasses.dataclass(frozen=True, eq=False)
class Explained:
    """Photographs that were explained."""

    finished: CompletedRun
    evidence: Evidence
    scores: pd.DataFrame
    """A row per image and row of the table, in the order asked: image, method, layer, class (its name), index, p, the
    metrics in the table's units, T in seconds, and with a box its corners."""
    out: Path


def explain_photographs(
    files: Sequence[Path], config: RunConfig, command: str = "", box: float | None = None, progress: bool = False
) -> Explained:
    """Explain and score image files by the code of a run, under its keys, into results/explain/MODEL-NAME.

    Written are, for each image, NAME.png and .pdf (the panel; NAME-signed for maps that fall below zero) and NAME.npz
    (the maps), and for all `scores.csv`. Raises UsageError for what is no image, and whatever a run raises.
    """
    dataset = photographs(files, config.boxes)
    first, *others = (sample.id for sample in dataset.samples)
    more = [f"and_{len(others)}_more"] if others else []
    out = config.out or Path("results") / "explain" / folder(config.model or DEFAULT_MODEL, first, *more)
    asked = dataclasses.replace(config, out=out, judges=config.judges or NOBODY)
    request = build_request(asked, command, Given(dataset=dataset), progress)
    finished, board = result(dataclasses.replace(request, map_dtype=torch.float32))
    evidence = evidence_of(finished, board)
    explained = Explained(finished, evidence, scores_of(finished, evidence, box), out)
    write(explained, box)
    return explained


def images_of(finished: CompletedRun) -> list[str]:
    """The images in the order of their files."""
    there = set(finished.images.ids)
    return [sample.id for sample in finished.request.dataset.samples if sample.id in there]


def tiles_of(finished: CompletedRun) -> list[Tile]:
    """Where each scored row stands in the panel."""
    own = finished.request.classifier
    layers = {layer_of(source, own) for source in finished.scored}
    return [
        Tile(source.label, column_of(source), (choice_of(source), layer_of(source, own) if len(layers) > 1 else ""))
        for source in finished.scored
    ]


def column_of(source: Source) -> str:
    """The row's label without layer and class."""
    if isinstance(source, ExplainerSource):
        return source.spec.label
    return source.label.removesuffix(f": {choice_of(source)}")


def choice_of(source: Source) -> str:
    return source.target.name if source.target else ""


def scores_of(finished: CompletedRun, evidence: Evidence, box: float | None) -> pd.DataFrame:
    request, rows = finished.request, finished.rows
    timings = stored_timings(request, finished.store, finished.scored)
    seconds = timings[timings.batch == 1].set_index("method").seconds
    parts = []
    for image in images_of(finished):
        for source in finished.scored:
            row = evidence.row(source.label, image)
            if row is None:
                continue
            facts = {"image": image, "method": source.label, "layer": layer_of(source, request.classifier),
                     "class": request.classifier.classes[row.target], "index": row.target, "p": row.p}  # fmt: skip
            values = {metric.name: metric.scale * row[metric.name] for metric in evidence.board.metrics}
            parts.append(facts | values | ({"T": seconds.get(source.label, np.nan)} if request.timing else {}))
    scores = pd.DataFrame(parts)
    if box is None or rows.empty:
        return scores
    boxes = [panel_values(evidence, image, [s.label for s in finished.scored], box).assign(image=image)
             for image in images_of(finished)]  # fmt: skip
    return scores.merge(pd.concat(boxes).rename_axis("method").reset_index(), how="left", on=["image", "method"])


def write(explained: Explained, box: float | None) -> None:
    finished, evidence, out = explained.finished, explained.evidence, explained.out
    write_atomic(out / SCORES, lambda path: explained.scores.to_csv(path, index=False))
    tiles, request = tiles_of(finished), finished.request
    for image in images_of(finished) if tiles else ():
        content = maps_file(evidence, image)
        write_atomic(out / f"{image}.npz", lambda path, content=content: path.write_bytes(content))  # type: ignore[misc]
        layers = ", ".join(target_layers(request))
        heading = f"{image}   {request.classifier.name}, {layers}, protocol {request.protocol.name}"
        save(draw_panel(evidence, image, tiles, heading, box), out, image)
        below = [tile for tile in tiles if tile.method in evidence.signed_maps(image)]
        if below:
            note = f"{heading}   as returned, at the 99th percentile"
            save(draw_panel(evidence, image, below, note, None, signed=True), out, f"{image}-signed")


def maps_file(evidence: Evidence, image: str) -> bytes:
    """A NumPy archive: `image`, (S, S, 3) uint8 as the network saw it; by method (S, S) float32, the scored map in
    [0, 1]; and by `METHOD raw` (h, w) float32, signed, as the method gave it, divided by its largest magnitude."""
    raw, picture = evidence.raw_maps(image), evidence.load(image)
    arrays = dict(evidence.maps(image)) | {f"{method} raw": own.numpy() for method, own in raw.items()}
    buffer = io.BytesIO()
    pixels = {} if picture is None else {"image": picture.pixels}
    np.savez_compressed(buffer, **pixels, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
