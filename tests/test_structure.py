"""Who may know whom: see `docs/architecture.md`."""

from __future__ import annotations

import ast
import importlib
import os
import shutil
import subprocess
import sys

import tomllib

import cambench
from tests.architecture import circles, imports, modules, named_by_string, table, typing_only, upward
from tests.places import ROOT


def test_no_module_imports_itself_by_way_of_others():
    assert circles(imports()) == []


def test_no_room_imports_from_one_above():
    assert upward() == []


def test_nothing_of_ours_is_imported_by_a_name_in_quotes():
    assert named_by_string() == []


def test_the_page_shows_the_table():
    assert table() in (ROOT / "docs" / "architecture.md").read_text(), "run: python -m tests.architecture"


def test_bench_holds_programs_rooms_and_no_loose_files():
    assert sorted(file.stem for file in (ROOT / "bench").glob("*.py")) == [
        "__init__",
        "coverage",
        "inspect",
        "plugins",
        "remake",
        "scale",
        "trust",
    ]


def test_results_hold_no_code():
    assert list((ROOT / "results" / "published").rglob("*.py")) == []


def test_every_package_is_in_the_wheel():
    packages = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    ours = {name for name, file in modules().items() if file.name == "__init__.py"}
    assert packages == ours | {"bench.tables.printed"}


def test_the_door_gives_what_it_declares():
    """Names for the type checker, names imported when they are used, and `__all__` are the same."""
    tree = ast.parse((ROOT / "cambench.py").read_text())
    inside = typing_only(tree)
    declared = {alias.name: node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
                and id(node) in inside for alias in node.names}  # fmt: skip
    assert declared == cambench.MODULE_OF
    assert sorted(declared) == sorted(cambench.__all__)
    for name, module in declared.items():
        assert getattr(cambench, name) is getattr(importlib.import_module(module), name)


ADDED = {
    "methods/new_cam.py": """
from bench.core.explainer import explainer


@explainer("new-cam", paper="x")
def new_cam(classifier, images, targets):
    return classifier.features(images).mean(1)
""",
    "metrics/new_metric.py": """
from bench.core.metric import Case, metric


@metric("NEW", kind="map", better="higher", title="New", paper="x")
def new(case: Case) -> float:
    return float(case.map.mean())
""",
    "bench/data/new_data.py": """
from bench.core.dataset import Dataset, Sample, dataset, load_dataset


@dataset("new-data")
def new_data(root, boxes):
    files = [sample.path for sample in load_dataset("samples").samples[:2]]
    return Dataset("new-data", tuple(Sample(path.stem, path) for path in files))
""",
    "bench/classifiers/new_net.py": """
import torch
from torch import nn

from bench.core.architecture import classifier


@classifier("new-net", input_size=32)
def new_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
""",
    "bench/run/engine/new_engine.py": """
from bench.run.engine.local import LocalEngine
from bench.run.engine.registry import engine


@engine("new-engine")
def new_engine(address, rebuild):
    print("the new engine")
    return LocalEngine()
""",
    "bench/tables/formats/new_format.py": """
from bench.tables.format import table_format


@table_format("leaderboard.new")
def new_format(content):
    return "new " + content.title
""",
}


def test_adding_one_of_each_is_one_file_and_no_other_edit(tmp_path):
    """An explainer, a metric, a data set, a classifier, an engine and a format in a copy of the tree."""
    for folder in ("bench", "methods", "metrics"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "weights"))
    for name in ("cambench.py", "run_benchmark.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name, code in ADDED.items():
        (tmp_path / name).write_text(code)
    command = ["run_benchmark.py", "--model", "new-net", "--data", "new-data", "--methods", "new-cam",
               "--metrics", "NEW", "--engine", "new-engine", "--no-controls", "--protocol", "clean",
               "--device", "cpu", "--out", "out", "--no-report"]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ended = subprocess.run([sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "the new engine" in ended.stdout
    assert "new-cam" in (tmp_path / "out" / "leaderboard.csv").read_text()
    assert (tmp_path / "out" / "leaderboard.new").read_text().startswith("new new-net on new-data")


def test_a_folder_of_the_user_that_shadows_ours_is_told(tmp_path):
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "__init__.py").write_text("")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    result = subprocess.run([sys.executable, "-c", "import cambench"], cwd=tmp_path, env=environment,
                            capture_output=True, text=True)  # fmt: skip
    assert result.returncode == 1
    assert "shadows CAMBench's package 'metrics'; rename it" in result.stderr
