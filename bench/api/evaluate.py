"""A run from Python: `evaluate`."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.api.classifiers import load_classifier
from bench.api.methods import Method, split_methods
from bench.api.results import Results, names_of
from bench.core.classifier import Classifier
from bench.core.dataset import Dataset
from bench.core.paths import user_path
from bench.plugins import register
from bench.run.build_request import Given, build_request, first_layer
from bench.run.carry_out import CompletedRun, result
from bench.run.config import DEFAULT_MODEL, RunConfig
from bench.run.precision_budget import facts
from bench.run.provenance import run_facts
from bench.run.timing import stored_timings
from bench.run.write import print_and_write
from bench.tables.leaderboard import Leaderboard


def evaluate(
    net: str | nn.Module | Classifier = DEFAULT_MODEL,
    data: str | Path | Dataset = "samples",
    methods: Method | Sequence[Method] = "all",
    metrics: str | Sequence[str] | None = None,
    *,
    out: str | Path | None = None,
    progress: bool = False,
    **settings: Any,
) -> Results:
    """Explain, score and rank: what the command line does, with the same numbers under the same keys.

    Args:
        net: a classifier, a network in memory, or what names one.
        data: a data set's spec, a folder of images, or a Dataset.
        methods: specs and functions (classifier, images, targets) -> maps.
        metrics: names; the data set's usual ones unless given, without the timing pass T.
        out: results folder, in which rows are stored and found again; a temporary one unless given.
        progress: whether progress is shown.
        settings: fields of `RunConfig`, as `protocol="clean"`, `limit=100`, `controls=False`.

    Raises UsageError for what is unknown, missing or malformed. A method that fails has its reason in
    `Results.frame()`, and its name in `Results.failed`.

    >>> r = evaluate("efficientnet_lite0", methods="grad-cam", metrics=["AREA"], limit=1, controls=False)
    >>> r.frame().index.tolist()
    ['grad-cam']
    """
    register(settings.get("plugin", ()))
    text, functions = split_methods(methods)
    stated: dict[str, Any] = {"methods": text, **settings}
    if metrics is not None:
        stated["metrics"] = list(metrics) if not isinstance(metrics, str) else metrics
    stated |= data_settings(data)
    config = RunConfig.from_mapping(stated, "evaluate()")
    classifier = (
        net
        if isinstance(net, Classifier)
        else load_classifier(net, layer=first_layer(config.layer), device=config.device)
    )
    given = Given(classifier, data if isinstance(data, Dataset) else None, functions)
    if out is not None:
        return carried_out(dataclasses.replace(config, out=user_path(out)), given, progress, keep=True)
    with tempfile.TemporaryDirectory() as folder:
        return carried_out(dataclasses.replace(config, out=Path(folder)), given, progress, keep=False)


def data_settings(data: str | Path | Dataset) -> dict[str, Any]:
    """The settings that name a data set: a folder is the data set `folder` there."""
    if isinstance(data, Dataset):
        return {}
    if isinstance(data, Path) or user_path(data).is_dir():
        return {"data": "folder", "data_root": str(data)}
    return {"data": data}


def carried_out(config: RunConfig, given: Given, progress: bool, keep: bool) -> Results:
    request = build_request(config, "cambench.evaluate", given, progress)
    threads = torch.get_num_threads()
    finished, board = result(request)
    torch.set_num_threads(threads)
    if keep:
        print_and_write(finished, board, show=False)
    return results_of(finished, board)


def results_of(finished: CompletedRun, board: Leaderboard) -> Results:
    """The results of a run that was carried out."""
    request = finished.request
    about = run_facts(request, board.provenance) | facts(finished.budget)
    files = board.files() | {
        "images.csv": finished.images.listed.to_csv(index=False).encode(),
        "run.json": (json.dumps(about, indent=2, sort_keys=True, default=str) + "\n").encode(),
    }
    if len(timings := stored_timings(request, finished.store, finished.scored)):
        files["timing.csv"] = timings.to_csv(index=False).encode()
    names = names_of(list(board.metrics))
    renamed = {name + end: column + end for name, column in names.items() for end in ("", "_vector")}
    return Results(files, finished.rows.rename(columns=renamed), names)
