"""The command `python -m bench.speed`: from flags to measurements and their report."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from bench.cli.flags import Parser, path, whole
from bench.core.device import check_device, keep_freed_memory, synchronise
from bench.core.errors import UsageError
from bench.core.ranges import within
from bench.run.config import DEFAULT_MODEL
from bench.speed import report
from bench.speed.compare import Row, compare
from bench.speed.given import Choice, Given, load
from bench.speed.growth import growths
from bench.speed.measurement import Patience, Stopwatch
from bench.speed.memory import Peak, peaks
from bench.speed.report import Findings
from bench.speed.share import score_cam_share, scorer_share
from bench.speed.works import Work, build_works

OK, FAILED, USAGE = 0, 1, 2
PARTS = ("ratios", "share", "memory", "growth")
QUICK_MEMORY = ("grad-cam", "I and D")
"""Works that take seconds: each side of each is carried out in a process of its own."""
QUICK_CHUNK = 5
"""Images of the chunk of which the scorer's share is measured."""


def build_parser() -> argparse.ArgumentParser:
    description = "Time our explainers and metrics beside other libraries', in turns, and write the ratios."
    parser = Parser("python -m bench.speed", description)
    add = parser.add_argument
    add("--model", default=DEFAULT_MODEL, help="a classifier's name, timm:NAME, or FILE.py:NAME")
    add("--weights", type=path, help=".pth or .safetensors of the classifier")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda, cuda:1, …")
    add("--dtype", default="float32", choices=("float32", "bfloat16", "float16"), help="precision of both sides")
    add("--channels-last", action="store_true", help="memory layout of net and images")
    add("--compile", action="store_true", dest="compiled", help="our scorer's forward pass through torch.compile")
    add("--batch-size", type=whole(within(1, 4096)), default=20, help="images per forward of our scorer")
    add("--quick", action="store_true", help="fewer images and repetitions: the main ratios")
    add("--only", default=",".join(PARTS), help="parts to measure")
    add("--out", type=path, help="results folder (default: results/speed/DTYPE-LAYOUT-DEVICE)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0 all compared, 1 a peer failed or gave another result, 2 usage."""
    argv = list(sys.argv[1:] if argv is None else argv)
    args = build_parser().parse_args(argv)
    try:
        parts = chosen(args.only)
        check_device(args.device)
        choice = Choice(args.model, args.weights, args.device, args.dtype, args.channels_last, args.batch_size,
                        args.quick, args.compiled)  # fmt: skip
        out = args.out or Path("results") / "speed" / choice.name
        title = f"CAMBench beside its peers on {args.model}"
        findings = Findings(choice)
        for _ in measure(findings, parts, shlex.join(["python", "-m", "bench.speed", *argv])):
            report.write(findings, out, title)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    print(report.markdown(findings, title))
    print(f"written to {out}")
    return FAILED if any(row.failed for row in findings.rows) else OK


def chosen(text: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(","))
    if wrong := [part for part in parts if part not in PARTS]:
        raise UsageError(f"--only {wrong[0]!r} is not a part; write some of {', '.join(PARTS)}")
    return parts


def measure(findings: Findings, parts: Sequence[str], command: str) -> Iterator[None]:
    """Measure what `parts` names into `findings`; yields after every line, so that a run that is ended keeps it."""
    choice, begin = findings.choice, time.perf_counter()
    before = report.load_average()
    keep_freed_memory()
    given = load(choice)
    watch = Stopwatch(partial(synchronise, given.classifier.device))
    works = build_works(given, choice.quick)
    with torch.inference_mode():
        given.scoring.classifier.score(given.scoring.images[:1])  # folds the batch normalisations, once for all
    findings.facts = report.circumstances(choice, given, command) | {"load average before": before}
    measured: dict[str, tuple[list[Any], Iterator[Any]]] = {
        "ratios": (findings.rows, ratios(choice, given, works, watch)),
        "share": (findings.rows, shares(choice, given, watch)),
        "memory": (findings.peaks, memory(choice, given, works)),
        "growth": (findings.growths, growths(choice, given, watch)),
    }
    for part in (part for part in PARTS if part in parts):
        lines, found = measured[part]
        for line in found:
            lines.append(line)
            findings.facts["load average after"] = report.load_average()
            findings.facts["minutes"] = f"{(time.perf_counter() - begin) / 60:.1f}"
            yield


def ratios(choice: Choice, given: Given, works: Sequence[Work], watch: Stopwatch) -> Iterator[Row]:
    patience = Patience(20, 1, 7) if choice.quick else Patience(60, 3, 30)
    plain_in = cache(partial(given.plain, channels_last=choice.channels_last))
    for work in tqdm(works, "ratios", unit="work"):
        yield from compare(work, given, plain_in, patience, watch)


def shares(choice: Choice, given: Given, watch: Stopwatch) -> Iterator[Row]:
    scored = dataclasses.replace(given, batch=min(given.batch, QUICK_CHUNK)) if choice.quick else given
    yield scorer_share(scored, watch)
    yield score_cam_share(given, Patience(40, 3, 3) if choice.quick else Patience(60, 3, 9), watch)


def memory(choice: Choice, given: Given, works: Sequence[Work]) -> Iterator[Peak]:
    chosen = [work for work in works if not choice.quick or work.name in QUICK_MEMORY]
    yield from peaks(choice, given, tqdm(chosen, "memory", unit="work"))
