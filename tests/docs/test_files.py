"""Files that pages print, `# NAME.py` on their first line, with the commands of the pages that name them."""

from __future__ import annotations

import re
import shlex
import shutil

import pytest

from bench.core.dataset import load_dataset
from bench.plugins import register
from cambench import main
from tests.test_readme import BLOCK, COMMANDS, PAGES

FOUND = [(re.match(r"# (\w+\.py)\n", code), code) for page in PAGES for _, code in BLOCK.findall(page.read_text())]
FILES = {(name[1], code) for name, code in FOUND if name}
NAMES = {name for name, _ in FILES}
USES = sorted({command for command in COMMANDS if any(name in command for name in NAMES)})
SMALL = ["--limit", "1", "--no-controls", "--batch-size", "1", "--device", "cpu"]


def test_a_file_that_two_pages_print_is_the_same_on_both():
    assert len(FILES) == len(NAMES)


def test_every_file_is_used():
    assert all(any(name in command for command in USES) for name in NAMES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files, `photos/` with a folder per class, and `flat/` with the class in the file's name."""
    root = tmp_path_factory.mktemp("pages")
    for name, code in FILES:
        (root / name).write_text(code)
    register()
    (root / "flat").mkdir()
    for sample in load_dataset("samples").samples:
        if sample.label in (609, 541):
            name = {609: "jeep", 541: "drum"}[sample.label]
            (root / "photos" / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(sample.path, root / "photos" / name)
            shutil.copy(sample.path, root / "flat" / f"{name}_{sample.id}.jpg")
    return root


@pytest.mark.parametrize("command", USES)
def test_every_command_that_names_a_file_runs(command, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    words = shlex.split(command)
    words = words[words.index("run_benchmark.py") + 1 :]
    metrics = [] if "--metrics" in words else ["--metrics", "AD"]
    # "all" would take in what other tests of this process have registered, broken explainers among them
    methods = [] if "--methods" in words else ["--methods", "grad-cam,gradient"]
    assert main([*words, *metrics, *methods, *SMALL, "--out", str(tmp_path / "out")]) == 0
    assert "ok" in (tmp_path / "out" / "leaderboard.csv").read_text()
