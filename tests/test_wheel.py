"""The wheel holds all that is read at run time, and an installed `cambench` works away from the checkout."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bench.core.program import command, program
from tests.places import ROOT

SOURCES = ("bench", "methods", "metrics", "results/paper", "cambench.py", "pyproject.toml", "README.md", "LICENSE")
READ = (".csv", ".json", ".safetensors")
"""SharedScores of files that the program reads."""

pytestmark = pytest.mark.skipif(importlib.util.find_spec("setuptools") is None, reason="setuptools is not installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The unpacked wheel of this checkout, with no checkout around it."""
    source, out, site = (tmp_path_factory.mktemp(name) for name in ("source", "out", "site"))
    for name in SOURCES:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    build = f"import setuptools.build_meta as backend; backend.build_wheel({str(out)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (wheel,) = out.glob("cambench-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


PROGRAM = """
import sys

sys.path.insert(0, {site!r})
sys.argv[0] = "/usr/bin/cambench"
import cambench

assert cambench.__file__.startswith({site!r})
assert cambench.main(["--list"]) == 0
assert cambench.main(["--table", "opticam-localization", "--methods", "fake-cam", "--boxes", "."]) == 0
cambench.main(["--help"])
"""


def test_every_file_that_is_read_is_in_the_wheel(site):
    for package in ("bench", "methods", "metrics"):
        files = [file for file in (ROOT / package).rglob("*") if file.suffix in (*READ, ".py")]
        assert len(files) > 3
        assert not [file for file in files if not (site / file.relative_to(ROOT)).is_file()]
    tables = [file.name for file in (ROOT / "results/paper").iterdir() if file.suffix in READ]
    assert len(tables) >= 12
    assert sorted(file.name for file in (site / "bench/tables/printed").iterdir()) == sorted(tables)
    entry_points = next(site.glob("*.dist-info/entry_points.txt")).read_text()
    assert "cambench = run_benchmark:main" in entry_points


def test_away_from_the_checkout_it_knows_the_paper_tables_and_its_own_name(site, tmp_path):
    (tmp_path / "localization.txt").write_text("a.JPEG,10,20,200,210\nb.JPEG,0,0,500,375\n")
    (tmp_path / "image_sizes.txt").write_text("a.JPEG,224,224\nb.JPEG,500,375\n")
    program = PROGRAM.format(site=str(site))
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "opticam-classification " in ran.stdout
    assert "usage: cambench " in ran.stdout
    assert "run_benchmark" not in ran.stdout
    assert "Fake-CAM" in (tmp_path / "results/opticam-localization.csv").read_text()


def test_the_name_is_that_of_what_was_started(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/run_benchmark.py"])
    assert (program(), command()) == ("run_benchmark.py", "python run_benchmark.py")
    monkeypatch.setattr(sys, "argv", ["/usr/bin/cambench"])
    assert (program(), command()) == ("cambench", "cambench")
    monkeypatch.setattr(sys, "argv", ["C:/Scripts/cambench.exe"])
    assert program() == "cambench"
