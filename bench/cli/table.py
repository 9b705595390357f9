"""A paper's table, as a configuration asks for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from bench.core.errors import UsageError
from bench.core.spec import split_list
from bench.paper.geometry import is_geometry
from bench.paper.run import TableSelection
from bench.run.build_request import build_request, split_weights
from bench.run.config import RunConfig
from bench.run.folders import folder
from bench.run.request import Request
from bench.run.select_judges import NOBODY
from bench.tables.paper_tables import PaperTable, load_table


def table_request(name: str, config: RunConfig, command: str) -> tuple[PaperTable, TableSelection]:
    """The table and what the configuration asks of it. Raises UsageError for what the table itself decides."""
    table = load_table(name)
    for flag in ("protocol", "target", "layer", "judges"):
        if getattr(config, flag):
            raise UsageError(f"--table {table.name} fixes what --{flag} would change; run it without --table instead")
    if config.maps:
        raise UsageError("--table knows the paper's methods only; compare --maps in a run without --table")
    data = config.data or table.data
    boxes = config.boxes if config.data_root is None and is_geometry(config.boxes) else None
    if boxes and (config.limit is not None or config.skip):
        raise UsageError("--limit and --skip choose images, and boxes alone are always taken whole; leave them out")
    out = config.out or Path("results")

    def request(classifier: str, specs: Sequence[str], metrics: Sequence[str]) -> Request:
        own = dataclasses.replace(
            config, model=classifier, methods=",".join(specs) or "all", metrics=",".join(metrics) or "T",
            protocol=table.protocol, data=data, controls=False, judges=NOBODY,
            out=out / folder(classifier, data, table.protocol),
            weights=tuple(text for text in config.weights if split_weights(text)[0] in ("", classifier)),
        )  # fmt: skip
        return build_request(own, command)

    methods = None if config.methods == "all" else [item.partition("(")[0] for item in split_list(config.methods)]
    metrics = None if config.metrics is None else split_list(config.metrics)
    return table, TableSelection(request, out, config.model, methods, metrics, config.tex, config.stored, boxes)
