"""`python -m bench.scale`: what a table over many images costs, from counted passes and a stored timing."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from bench.cli.flags import Parser, whole
from bench.core.errors import UsageError
from bench.core.ranges import at_least
from bench.plugins import register
from bench.run.build_request import build_request
from bench.run.config import RunConfig
from bench.run.estimate import scoring_passes, shared_passes
from bench.run.request import Request

FORWARD_ONLY = "cam"
"""The method whose stored time is that of one forward pass."""


@dataclass(frozen=True)
class Net:
    """A classifier's passes per image, and the speed at which they were seen to be made."""

    name: str
    explain: Mapping[str, float | None]
    """Forward passes per image by method, a backward counted as two; None where the method does not apply."""
    score: int
    """Forward passes per image and method for the metrics."""
    shared: int
    """Forward passes per image, whatever the number of methods."""
    core_seconds: float
    """Seconds of one core for a forward pass of one image."""

    def passes(self, images: int, method: str) -> float | None:
        explain = self.explain.get(method)
        return None if explain is None else images * (explain + self.score)

    def total(self, images: int) -> float:
        """Of all methods, with what they share."""
        return images * self.shared + sum(self.passes(images, method) or 0 for method in self.explain)


def net_of(request: Request, timing: Path) -> Net:
    """Raises UsageError where the timing has no forward-only method."""
    net, images = request.classifier, SimpleNamespace(ids=(), has_boxes=False)
    explain = {source.label: None if source.skip(net, images) else source.cost(net).total for source in request.sources}
    return Net(net.name, explain, scoring_passes(request), shared_passes(request), core_seconds(timing))


def core_seconds(timing: Path) -> float:
    """Seconds of a forward pass at the largest timed batch × the threads that it ran on, from a run's `timing.csv`."""
    frame = pd.read_csv(timing)
    rows = frame[frame.method == FORWARD_ONLY].sort_values("batch")
    threads = rows.device.str.extract(r"(\d+) threads")[0].dropna()
    if rows.empty or threads.empty:
        raise UsageError(f"{timing} has no time of {FORWARD_ONLY!r} on a CPU; run it with --metrics T --device cpu")
    return float(rows.seconds.iloc[-1] / rows.forward.iloc[-1]) * int(threads.iloc[-1])


def table(nets: Sequence[Net], images: int) -> str:
    """Markdown: a row per method, for each net its passes per image, all its passes, and the core-hours of these."""
    header = [
        "method",
        *(f"{net.name}: {what}" for net in nets for what in ("passes per image", "10⁹ passes", "core-h")),
    ]
    lines = [header, ["---", *["---:"] * (3 * len(nets))]]
    for method in dict.fromkeys(method for net in nets for method in net.explain):
        lines.append([method, *(cell for net in nets for cell in cells(net, images, method))])
    sums = [(net.total(images), net) for net in nets]
    lines.append(["all", *(cell for total, net in sums for cell in ("", f"{total / 1e9:.2f}", hours(net, total)))])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cells(net: Net, images: int, method: str) -> list[str]:
    passes = net.passes(images, method)
    if passes is None:
        return ["–"] * 3
    return [f"{net.explain[method]:,.0f} + {net.score}", f"{passes / 1e9:.4f}", hours(net, passes)]


def hours(net: Net, passes: float) -> str:
    return f"{passes * net.core_seconds / 3600:,.0f}"


def formula(nets: Sequence[Net], images: int) -> str:
    """The hours on a GPU, given the throughput that it has."""
    parts = [f"{net.total(images) / 3600:,.0f} / ({net.name}'s images/s)" for net in nets]
    speeds = [f"{net.name} {1 / net.core_seconds:.1f}" for net in nets]
    return f"GPU-hours = {' + '.join(parts)}\n\nImages/s of one core here: {', '.join(speeds)}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("python -m bench.scale", __doc__)
    parser.add_argument("nets", nargs="+", metavar="MODEL=timing.csv", help="a classifier and a run's times of it")
    parser.add_argument("--images", type=whole(at_least(1)), default=50_000)
    parser.add_argument("--methods", default="all")
    parser.add_argument("--metrics", default="AD,AG,AI,I,D")
    parser.add_argument("--protocol", default="clean")
    parser.add_argument("--weights", action="append", default=[], metavar="MODEL=FILE")
    args = parser.parse_args(argv)
    register()
    nets = []
    try:
        for text in args.nets:
            name, _, timing = text.partition("=")
            weights = tuple(given for given in args.weights if given.startswith(f"{name}="))
            config = RunConfig(model=name, device="cpu", methods=args.methods, metrics=args.metrics, judges="none",
                               protocol=args.protocol, weights=weights)  # fmt: skip
            nets.append(net_of(build_request(config), Path(timing)))
    except (UsageError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{table(nets, args.images)}\n\n{formula(nets, args.images)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
