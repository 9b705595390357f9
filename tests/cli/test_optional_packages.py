"""The program starts with what `pip install cambench` installs: the extras' packages are imported when asked for."""

from __future__ import annotations

import subprocess
import sys

from tests.places import ROOT

WITHOUT = """
import sys
for name in ("ray", "torchcam", "quantus", "playwright", "mkdocs", "pytest"):
    sys.modules[name] = None
sys.argv = ["run_benchmark.py", *sys.argv[1:]]
import run_benchmark
sys.exit(run_benchmark.main())
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT, *arguments], cwd=ROOT, capture_output=True, text=True)


def test_a_run_needs_no_extra(tmp_path):
    done = run("--limit", "2", "--methods", "cam", "--metrics", "AD", "--no-report", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr


def test_an_engine_whose_package_is_missing_says_what_to_install(tmp_path):
    done = run("--engine", "ray", "--limit", "2", "--methods", "cam", "--metrics", "AD", "--out", str(tmp_path))
    assert done.returncode == 2
    assert "pip install 'cambench[cluster]'" in done.stderr
