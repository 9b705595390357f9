"""`--image a.jpg`: photographs explained, a panel of each, and their scores on the terminal."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.core.errors import UsageError
from bench.core.metric import Metric
from bench.report.panel import short
from bench.run.carry_out import CompletedRun
from bench.run.config import RunConfig
from bench.run.photographs import SCORES, Explained, choice_of, explain_photographs, images_of
from bench.run.provenance import target_layers
from bench.scoring.sources import Source
from bench.tables.content import number

WORDS = {"AD": "drop", "AG": "gain", "AI": "increase"}
"""What the columns are called where there is room for a word."""
CELL = 10
"""Letters of a column of numbers."""
INSTEAD = ("data", "data_root", "limit", "skip", "stored")


def explain(files: Sequence[Path], box: float | None, config: RunConfig, command: str) -> bool:
    """Explain image files and print what was found; returns whether some method failed. Raises UsageError."""
    for name in INSTEAD:
        if getattr(config, name):
            raise UsageError(f"--image brings its own images; leave out --{name.replace('_', '-')}")
    if config.engine != "local":
        raise UsageError("--image computes in this process; leave out --engine")
    start = time.perf_counter()
    explained = explain_photographs(files, config, command, box, progress=sys.stdout.isatty())
    width = shutil.get_terminal_size((100, 24)).columns
    for image in images_of(explained.finished):
        print("\n".join(line[:width] for line in told(explained, image, width)), end="\n\n")
    for line in dict.fromkeys(notes(explained.finished)):
        print(textwrap.fill(line, width, subsequent_indent="  ", break_on_hyphens=False))
    print(f"panels, maps and {SCORES} are in {explained.out} ({time.perf_counter() - start:.0f} s)")
    return explained.finished.failed


def notes(finished: CompletedRun) -> Iterator[str]:
    """What was not scored and why, and what a reader must know."""
    for source in finished.request.sources:
        outcome = finished.outcomes[source.label]
        if outcome.status != "ok":
            yield f"{source.label.removesuffix(f': {choice_of(source)}')}: {outcome.status}: {outcome.reason}"
    yield from (*finished.remarks, *finished.request.remarks, *finished.images.remarks)


def told(explained: Explained, image: str, width: int) -> Iterator[str]:
    """Lines of at most `width` letters: the likeliest classes, and a row of values per method for each class."""
    request, evidence = explained.finished.request, explained.evidence
    layers = ", ".join(target_layers(request))
    heading = f"{image}: {request.classifier.name}, layer {layers}, protocol {request.protocol.name}"
    yield from textwrap.wrap(heading, 80, subsequent_indent="  ", break_on_hyphens=False)
    for index, p in evidence.top(image, 3):
        yield f"  {100 * p:5.1f} %  {short(evidence, index)}"
    groups: dict[str, list[Source]] = {}
    for source in explained.finished.scored:
        groups.setdefault(choice_of(source), []).append(source)
    for choice, sources in groups.items():
        yield from block(explained, image, choice, sources, width)


def block(explained: Explained, image: str, choice: str, sources: Sequence[Source], width: int) -> Iterator[str]:
    """The rows of one class."""
    evidence, timed = explained.evidence, explained.finished.request.timing
    rows = explained.scores[explained.scores.image == image].set_index("method")
    labels = [source.label for source in sources if source.label in rows.index]
    if not labels:
        return
    names = {label: label.removesuffix(f": {choice}") for label in labels}
    first = min(max(map(len, ["method", *names.values()])) + 1, width - CELL * 2)
    room = max(1, (width - first) // CELL - timed)
    metrics = list(evidence.board.metrics)
    more = ", ".join(metric.name for metric in metrics[room:])
    target = rows.loc[labels[0]]
    yield ""
    yield f"why {short(evidence, int(target['index']))} ({100 * target.p:.1f} %)"
    yield (
        "method".ljust(first) + "".join(heading(m).rjust(CELL) for m in metrics[:room]) + ("T (s)".rjust(CELL) * timed)
    )
    for label in labels:
        row = rows.loc[label]
        cells = [number(row[metric.name], metric) for metric in metrics[:room]]
        cells += [f"{row['T']:.3f}" if np.isfinite(row["T"]) else "–"] if timed else []
        yield names[label][: first - 1].ljust(first) + "".join(cell.rjust(CELL) for cell in cells)
    if more:
        yield f"{more}: in {SCORES}"


def heading(metric: Metric) -> str:
    return WORDS.get(metric.name, metric.name) + metric.arrow
