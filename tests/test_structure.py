"""Who may know whom."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("bench", "methods", "metrics", "cambench")


def imports(file: Path) -> set[str]:
    """The dotted names of our own modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {name for name in found if name.split(".")[0] in OURS}


PROGRAMS = ("methods.decoder.train", "methods.decoder.study")
"""The training command with its package `training` and the study: programs beside the harness, which may know all."""


def belongs_to_a_program(file: Path) -> bool:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).startswith(PROGRAMS)


def test_no_method_knows_the_training_program():
    files = [file for file in (ROOT / "methods").rglob("*.py") if not belongs_to_a_program(file)]
    assert not [file for file in files for name in imports(file) if name.startswith(PROGRAMS)]


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [("bench/core", ("bench.core",)), ("methods", ("bench.core", "methods")), ("metrics", ("bench.core", "metrics"))],
)
def test_layers_know_only_what_lies_below(folder, allowed):
    files = [file for file in (ROOT / folder).rglob("*.py") if not belongs_to_a_program(file)]
    assert files
    for file in files:
        wrong = {name for name in imports(file) if not name.startswith(allowed)}
        assert not wrong, f"{file.relative_to(ROOT)} imports {wrong}"


def test_the_harness_knows_methods_and_metrics_through_registries_only():
    for file in (ROOT / "bench").rglob("*.py"):
        assert not {name for name in imports(file) if name.split(".")[0] in ("methods", "metrics", "cambench")}, file


def test_a_folder_of_the_user_that_shadows_ours_is_told(tmp_path):
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "__init__.py").write_text("")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    result = subprocess.run([sys.executable, "-c", "import cambench"], cwd=tmp_path, env=environment,
                            capture_output=True, text=True)  # fmt: skip
    assert result.returncode == 1
    assert "shadows CAMBench's package 'metrics'; rename it" in result.stderr
