"""The cost of a large table, by hand."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bench.core.errors import UsageError
from bench.scale import Net, core_seconds, formula, main, table


@pytest.fixture
def timing(tmp_path) -> Path:
    """0.5 s for a forward pass in batches of 20 on two threads: a second of one core."""
    rows = {"method": ["cam", "cam", "opti-cam"], "batch": [1, 20, 1], "seconds": [0.9, 0.5, 30.0],
            "forward": [1.0, 1.0, 101.0], "device": ["x86_64, 2 threads on vm"] * 3}  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "timing.csv", index=False)
    return tmp_path / "timing.csv"


def test_a_pass_costs_its_seconds_times_the_threads(timing):
    assert core_seconds(timing) == 1.0


def test_a_timing_without_a_forward_only_method_is_refused(timing):
    frame = pd.read_csv(timing)
    frame[frame.method == "opti-cam"].to_csv(timing, index=False)
    with pytest.raises(UsageError, match="no time of 'cam'"):
        core_seconds(timing)


def test_the_total_is_the_sum_over_methods_and_what_they_share():
    """36 images: 36 · (3 + 55) + 36 · (0 + 55) + 36 · 3 = 4,176 passes of 100 s: 116 core-hours."""
    net = Net("net", {"grad-cam": 3.0, "fake-cam": 0.0, "guided": None}, 55, 3, 100.0)
    assert net.total(36) == 4176
    lines = [line.strip("| ").split(" | ") for line in table([net], 36).splitlines()]
    assert lines[2] == ["grad-cam", "3 + 55", "0.0000", "58"]
    assert lines[4] == ["guided", "–", "–", "–"]
    assert lines[-1] == ["all", "", "0.00", "116"]
    assert "1,000 / (net's images/s)" in formula([Net("net", {"a": 1.0}, 0, 1, 1.0)], 1_800_000)


def test_the_command_counts_the_passes_that_methods_and_metrics_state(timing, capsys):
    """Under clean, AD, AG and AI share one masked image; a map changes 27 points each of I and D. Grad-CAM: 1F + 1B."""
    assert main([f"efficientnet_lite0={timing}", "--images", "1000000", "--methods", "grad-cam,score-cam"]) == 0
    text = capsys.readouterr().out
    assert "| grad-cam | 3 + 55 | 0.0580 | 16,111 |" in text
    assert "| score-cam | 1,281 + 55 |" in text  # 1280 channels and the image itself
    assert "| fake-cam | 0 + 55 |" in text


def test_bad_input_is_one_line(timing, capsys):
    assert main([f"resnet5={timing}"]) == 2
    assert capsys.readouterr().err.startswith("error: unknown model 'resnet5'")
