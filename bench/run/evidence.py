"""What a finished run gives its page and its pictures."""

from __future__ import annotations

import numpy as np
import torch

from bench.core.errors import UsageError
from bench.core.explainer import EXPLAINERS
from bench.core.seeds import content_hash
from bench.data.pixels import ImageProblem
from bench.report.evidence import Evidence, Picture
from bench.run.carry_out import CompletedRun
from bench.run.images import load_item
from bench.run.request import Request
from bench.scoring.sources import ExplainerSource
from bench.tables.leaderboard import Leaderboard
from bench.tables.paper_tables import Reported, reported

FIGURE_IMAGES = 6


def chosen(request: Request, images: list[str]) -> list[str]:
    """The images of the figures: those that the command names, else a few by hash, whoever looks best."""
    named = [image for image in request.figure_images if image in images]
    return named or sorted(images, key=lambda image: content_hash("figure", request.seed, image))[:FIGURE_IMAGES]


def reported_for(finished: CompletedRun) -> dict[tuple[str, str], Reported]:
    """What papers printed for the rows of a run: those of the run's own layer and class."""
    request = finished.request
    explainers = [source for source in finished.scored if isinstance(source, ExplainerSource)]
    own = [source for source in explainers if source.layer is None and source.target is None]
    return reported(request.classifier.name, request.protocol.name, {s.label: s.spec.key for s in own}, key_of)


def key_of(spec: str) -> str | None:
    """The explainer of a paper's row as stored keys have it; None where this version does not know it."""
    try:
        return EXPLAINERS.spec(spec).key
    except UsageError:
        return None


def evidence_of(finished: CompletedRun, board: Leaderboard) -> Evidence:
    """What stands behind the table of a run; files are read when they are asked for."""
    request, images, store = finished.request, finished.images, finished.store
    stored = store.rows("clean").get("log_probabilities", {})
    keys = dict(zip(images.ids, images.keys.clean_keys(images.table), strict=True))
    listed = {row.id: row for row in images.table.itertuples()}

    def load(image: str) -> Picture | None:
        try:
            item = load_item(request, images.samples[image], listed[image])
        except ImageProblem:
            return None
        pixels = (item.image.float().cpu().permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
        return Picture(pixels, None if item.boxes is None else item.boxes.double().cpu().numpy())

    return Evidence(
        board=board, rows=finished.rows, images=images.listed, classes=request.classifier.classes,
        size=request.classifier.input_size, orders={s.label: request.context.order(s) for s in finished.scored},
        log_probabilities={image: np.asarray(stored[key]) for image, key in keys.items() if key in stored},
        load=load, stored_maps=store.maps, config=request.config, shown=chosen(request, list(listed)),
        reported=reported_for(finished),
    )  # fmt: skip
