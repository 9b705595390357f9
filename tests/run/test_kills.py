"""A run that is killed at random moments, also while its tables are written, and resumed: nothing is lost but the batch
at hand, and the tables are those of a run that nobody disturbed. CAMBENCH_KILLS=50 for the long version."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.run.test_run import ROOT, command, files, photos  # noqa: F401 - photos is a fixture

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("CAMBENCH_KILLS", "3"))
METHODS = "grad-cam,cam,layer-cam,gradient,input-x-gradient,xgrad-cam,hires-cam,opti-cam(steps=20)"


def start(photos: Path, out: Path) -> subprocess.Popen:  # noqa: F811
    asked = [*command(photos, out, methods=METHODS), "--no-report"]
    arguments = [sys.executable, str(ROOT / "run_benchmark.py"), *asked]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def rows(out: Path) -> set[Path]:
    return set(out.glob("scores/*.parquet"))


def wait_for_work(process: subprocess.Popen, out: Path, before: int) -> None:
    """Until the process has stored something new, or has begun its tables, or has ended."""
    while process.poll() is None and len(rows(out)) <= before and not (out / "leaderboard.csv").exists():
        time.sleep(0.002)


def test_killed_at_random_moments_the_tables_are_those_of_an_undisturbed_run(photos, tmp_path_factory):  # noqa: F811
    whole, out = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("killed")
    chance = random.Random(0)
    assert start(photos, whole).wait() == 0
    killed = 0
    for attempt in range(4 * KILLS):
        if killed == KILLS:
            break
        before = rows(out)
        process = start(photos, out)
        wait_for_work(process, out, len(before))
        time.sleep(chance.random() * (0.15 if attempt % 2 else 0.8))
        process.send_signal(signal.SIGKILL)
        if process.wait() == -signal.SIGKILL:
            killed += 1
        assert before <= rows(out), "a stored file is gone"
        if (out / "run.json").exists() and not attempt % 3:
            for name in ("leaderboard.csv", "leaderboard.md"):  # so that tables are written, and killed, again
                (out / name).unlink(missing_ok=True)
    assert killed >= min(KILLS, 3)
    assert start(photos, out).wait() == 0
    assert start(photos, out).wait() == 0  # whatever was left behind is gone, and nothing changes
    assert files(out) == files(whole)
    assert not list(out.rglob("*.tmp"))
    assert len(rows(out)) == len(rows(whole))
