"""`python -m tests.campaign`: run the cases, and a table of what came of them by group."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.campaign.case import Case
from tests.campaign.groups import CASES
from tests.campaign.runner import Result, run_case

KINDS = ("unexpected exit", "traceback", "hang", "other words", "other files")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    add = parser.add_argument
    add("--group", action="append", default=[], help="only the groups whose name holds this")
    add("--only", action="append", default=[], metavar="NAME", help="only the cases whose name holds this")
    add("--sample", type=int, metavar="N", help="N cases by hash, some of every group")
    add("--jobs", type=int, default=2, help="cases at a time")
    add("--keep", type=Path, metavar="DIR", help="leave the cases' folders here")
    add("--list", action="store_true", help="print the names of the cases, and stop")
    return parser


def sample(cases: Sequence[Case], count: int) -> list[Case]:
    """`count` cases in the order of a hash of their titles, round-robin over the groups."""
    ordered = sorted(cases, key=lambda case: hashlib.sha256(case.title.encode()).hexdigest())
    turn: Counter[str] = Counter()
    ranks = []
    for case in ordered:
        ranks.append((turn[case.group], len(ranks), case))
        turn[case.group] += 1
    return [case for _, _, case in sorted(ranks, key=lambda rank: rank[:2])[:count]]


def warm_up() -> None:
    """Import once what every command imports, so that forks start at once; one thread, since threads do not survive."""
    os.environ.update(OMP_NUM_THREADS="1", RAY_ENABLE_UV_RUN_RUNTIME_ENV="0")
    import torch

    torch.set_num_threads(1)
    import captum.attr  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import pytorch_grad_cam  # noqa: F401
    import timm  # noqa: F401

    import bench.speed.run  # noqa: F401
    import cambench  # noqa: F401
    import methods.decoder.train  # noqa: F401


def run_all(cases: Sequence[Case], jobs: int, keep: Path | None) -> Iterable[Result]:
    """Results as they come; every case in a process of its own, `jobs` at a time."""
    waiting, running = list(reversed(cases)), dict[int, tuple[Case, str]]()
    while waiting or running:
        while waiting and len(running) < jobs:
            case = waiting.pop()
            handle, file = tempfile.mkstemp(prefix="campaign-")
            os.close(handle)
            if (pid := os.fork()) == 0:
                supervise(case, file, keep)
            running[pid] = case, file
        pid, _ = os.wait()
        case, file = running.pop(pid)
        text = Path(file).read_text(encoding="utf-8")
        os.unlink(file)
        yield Result(**json.loads(text)) if text else Result(case.name, case.group, "hang", "the campaign itself broke")


def supervise(case: Case, file: str, keep: Path | None) -> None:
    try:
        folder = keep / f"{case.group}-{case.name}".replace("/", "_").replace(" ", "-") if keep else None
        result = run_case(case, folder)
        Path(file).write_text(json.dumps(asdict(result)), encoding="utf-8")
    except BaseException as error:
        print(f"{case.title}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(0)


def by_group(results: Sequence[Result]) -> str:
    """Markdown: a row per group, and their sums."""
    header = ["group", "cases", "as expected", *KINDS]
    lines = [header, ["---", *["---:"] * (len(header) - 1)]]
    groups = dict.fromkeys(result.group for result in sorted(results, key=lambda result: result.group))
    for name, members in [(g, [r for r in results if r.group == g]) for g in groups] + [("all", list(results))]:
        kinds = Counter(result.kind for result in members)
        lines.append([name, str(len(members)), str(kinds[""]), *(str(kinds[kind]) for kind in KINDS)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(argv: Sequence[str] | None = None) -> int:
    """0 if all is as expected, else 1."""
    args = build_parser().parse_args(argv)
    cases = [
        case
        for case in CASES
        if (not args.group or any(text in case.group for text in args.group))
        and (not args.only or any(text in case.name for text in args.only))
    ]
    if args.sample:
        cases = sample(cases, args.sample)
    if args.list:
        print("\n".join(case.title for case in cases))
        return 0
    warm_up()
    begin, results = time.monotonic(), list[Result]()
    for result in run_all(cases, args.jobs, args.keep):
        results.append(result)
        if result.problem:
            print(f"{result.group}: {result.name}: {result.kind}: {result.problem}", flush=True)
    print(f"\n{by_group(results)}\n\n{time.monotonic() - begin:.0f} s")
    return int(any(result.problem for result in results))


if __name__ == "__main__":
    sys.exit(main())
