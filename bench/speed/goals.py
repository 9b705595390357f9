"""What we set out to reach, so that a report says what was reached and what was not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.speed.compare import Row
from bench.speed.given import Choice
from bench.speed.measurement import spoken
from bench.speed.memory import Peak


@dataclass(frozen=True)
class Goal:
    """A least ratio of a work to a peer, where it was set for this precision and device."""

    work: str
    """Start of a work's name."""
    peer: str
    least: float
    set_for: str = ""
    """The circumstances it was set for, in words; empty for all."""


def goals(choice: Choice) -> tuple[Goal, ...]:
    """The goals of a run with this device, precision and layout."""
    on_gpu = choice.device.startswith("cuda")
    low_precision = choice.dtype != "float32"
    score_cam = Goal("score-cam", "pytorch-grad-cam", 1.3, "float32 on a CPU")
    if on_gpu:
        score_cam = Goal("score-cam", "pytorch-grad-cam", 10.0, "a GPU")
    elif low_precision or choice.channels_last:
        score_cam = Goal("score-cam", "pytorch-grad-cam", 2.0, "bfloat16 or channels_last on a CPU")
    return (
        Goal("ablation-cam", "pytorch-grad-cam", 100.0, "ResNet-50"),
        score_cam,
        Goal("grad-cam", "pytorch-grad-cam", 1.5),
        Goal("D(", "quantus", 5.0),
        Goal("I and D", "torch-cam", 2.0),
        Goal("scoring", "bare forwards", 0.9),
        Goal("score-cam", "bare forwards", 0.9),
    )


@dataclass(frozen=True)
class Verdict:
    goal: str
    measured: str
    reached: str


def judge(choice: Choice, rows: Sequence[Row], peaks: Sequence[Peak]) -> list[Verdict]:
    """Each goal with what was measured; `not measured` where a peer is missing. Memory: each peer's peak above ours."""
    verdicts = []
    for goal in goals(choice):
        row = next((r for r in rows if r.peer == goal.peer and named(r.work, goal.work)), None)
        text = f"{goal.work.rstrip('(')} against {goal.peer} ≥ {goal.least:g}×"
        text += f" (set for {goal.set_for})" if goal.set_for else ""
        if row is None or math.isnan(row.ratio):
            verdicts.append(Verdict(text, "not measured", "–"))
        else:
            verdicts.append(Verdict(text, f"{spoken(row.ratio)}×", "yes" if row.ratio >= goal.least else "no"))
    if peaks:
        below = sum(peak.ratio > 1 for peak in peaks)
        reached = "yes" if below == len(peaks) else "no"
        verdicts.append(Verdict("peak memory below every peer's", f"{below} of {len(peaks)}", reached))
    return verdicts


def named(work: str, start: str) -> bool:
    """Whether a goal's name is the work's, parameters aside."""
    return work.startswith(start) if start.endswith("(") else work.partition("(")[0] == start
