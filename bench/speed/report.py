"""The files of a run: speed.csv, memory.csv, growth.csv and speed.md."""

from __future__ import annotations

import dataclasses
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from bench.core.files import write_atomic, write_text
from bench.core.version import own_version
from bench.run.provenance import versions
from bench.speed.compare import Row
from bench.speed.given import Choice, Given
from bench.speed.goals import Verdict, judge
from bench.speed.growth import Growth
from bench.speed.measurement import spoken
from bench.speed.memory import Peak
from bench.speed.peers import PEERS, version
from bench.speed.picture import draw


@dataclass
class Findings:
    """All that a run has measured so far, with the circumstances."""

    choice: Choice
    facts: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    peaks: list[Peak] = field(default_factory=list)
    growths: list[Growth] = field(default_factory=list)

    @property
    def verdicts(self) -> list[Verdict]:
        return judge(self.choice, self.rows, self.peaks)


def circumstances(choice: Choice, given: Given, command: str) -> dict[str, str]:
    """Machine, net, precision and versions."""
    net = given.classifier
    installed = {peer: version(peer) or "not installed" for peer in PEERS}
    known = {name: number for name, number in versions().items() if name not in PEERS.values()}
    return {
        "cambench": own_version(),
        "command": command,
        "classifier": f"{net.name} ({net.origin}), target layer {net.layer}",
        "input": f"3 × {net.input_size} × {net.input_size}, {choice}",
        "machine": machine(net.device),
        "threads": str(torch.get_num_threads()),
        **installed,
        **known,
    }


def machine(device: torch.device) -> str:
    """The GPU, or the CPU's model and its cores, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{processor()}, {os.cpu_count()} cores"


def processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def load_average() -> str:
    """Processes that ran or waited, over 1, 5 and 15 minutes."""
    return " ".join(f"{load:.2f}" for load in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"


def write(findings: Findings, out: Path, title: str) -> None:
    for name, lines, kind in (
        ("speed", [without(row, "failed") for row in findings.rows], Row),
        ("memory", [dataclasses.asdict(peak) for peak in findings.peaks], Peak),
        ("growth", [dataclasses.asdict(growth) for growth in findings.growths], Growth),
    ):
        columns = [field.name for field in dataclasses.fields(kind) if field.name != "failed"]
        write_csv(out / f"{name}.csv", pd.DataFrame(lines, columns=columns))
    write_text(out / "speed.md", markdown(findings, title))
    write_atomic(out / "speed.png", lambda path: draw(findings.rows, title, subtitle(findings.facts), path))


def without(row: Row, field: str) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(row).items() if name != field}


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    write_atomic(path, lambda temporary: frame.to_csv(temporary, index=False, float_format="%.6g"))


def subtitle(facts: Mapping[str, str]) -> str:
    return f"{facts['machine']}  ·  {facts['input']}"


def markdown(findings: Findings, title: str) -> str:
    """The report: ratios, goals, memory, growth and circumstances."""
    parts = [
        f"# {title}",
        "Ratio: the peer's time over ours, per image; above 1 ours is faster. Net, images, classes, target layer and "
        "number of steps are the same, and the calls alternate (A B C A B C …). Median over rounds; in brackets the "
        "smallest and the largest round. Difference: largest difference of the results (maps in [0, 1]). The others "
        "are given the classes; ours looks for them, by a pass of its own where it scores in another precision.",
        table(["work", "peer", "ratio", "ours (s)", "peer (s)", "images", "rounds", "difference", "note"],
              [line(row) for row in findings.rows]),
        "## Goals",
        table(["goal", "measured", "reached"], [[v.goal, v.measured, v.reached] for v in findings.verdicts]),
    ]  # fmt: skip
    if findings.peaks:
        lines = [[p.work, p.peer, f"{p.ratio:.2f}", megabytes(p.our_bytes), megabytes(p.peer_bytes), str(p.images)]
                 for p in findings.peaks]  # fmt: skip
        parts += [
            "## Peak memory",
            "Most memory held during one call over what was held before it, net and images already there: on a CPU "
            "resident memory, each side in a process of its own; on a GPU what tensors held.",
            table(["work", "peer", "ratio", "ours (MB)", "peer (MB)", "images"], lines),
        ]
    if findings.growths:
        parts += [
            "## Growth of our cost",
            "Seconds ≈ a · size^slope, least squares on logarithms.",
            table(["work", "grows with", "slope", "sizes", "seconds"],
                  [[g.work, g.axis, f"{g.slope:.2f}", g.sizes, g.seconds] for g in findings.growths]),
        ]  # fmt: skip
    facts = "\n".join(f"- {name}: {value}" for name, value in findings.facts.items())
    return "\n\n".join([*parts, "## Circumstances", facts]) + "\n"


def line(row: Row) -> list[str]:
    known = not math.isnan(row.ratio)
    ratio = f"**{spoken(row.ratio)}** [{spoken(row.low)}, {spoken(row.high)}]" if known else "–"
    seconds = [f"{s:.4g}" if known else "–" for s in (row.our_seconds, row.peer_seconds)]
    difference = "–" if math.isnan(row.difference) else f"{row.difference:.1g}"
    return [row.work, row.peer, ratio, *seconds, str(row.images), str(row.repetitions), difference, row.note]


def megabytes(amount: int) -> str:
    return f"{amount / 1e6:.0f}"


def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
