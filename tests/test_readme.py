"""What the README says works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from bench.cli.parser import parse
from bench.core.protocols import protocol
from bench.paper.tables import load_table
from bench.run.build_request import DEFAULT_METRICS, resolve_metrics
from bench.run.select_sources import choose_sources
from cambench import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line
    for language, block in BLOCKS
    if language == "sh"
    for line in block.replace("\\\n", " ").splitlines()
    if "run_benchmark.py" in line
]


def test_the_two_commands_stand_in_the_readme_and_ci_runs_the_second():
    assert "pip install uv && uv run run_benchmark.py" in README
    assert "pip install uv && uv run pytest" in (ROOT / ".ci" / "run").read_text()
    assert "pip install uv && uv run pytest\n" in README


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_names_flags_methods_and_metrics_that_exist(command):
    words = shlex.split(command)
    args, config = parse(words[words.index("run_benchmark.py") + 1 :])
    assert resolve_metrics(config.metrics or DEFAULT_METRICS)
    if args.table:
        assert load_table(args.table)
    if not config.plugin:
        assert choose_sources(config.methods)
    if config.protocol:
        assert protocol(config.protocol)


def test_the_example_explainer_runs_as_printed(tmp_path):
    (code,) = [block for language, block in BLOCKS if language == "python"]
    (tmp_path / "my_cam.py").write_text(code)
    (command,) = [command for command in COMMANDS if "--plugin" in command]
    words = shlex.split(command.replace("my_cam.py", str(tmp_path / "my_cam.py")))
    small = ["--limit", "1", "--no-controls", "--metrics", "AD", "--batch-size", "1", "--out", str(tmp_path / "out")]
    assert main([*words[words.index("run_benchmark.py") + 1 :], *small, "--device", "cpu"]) == 0
    assert "my-cam(power=2.0)" in (tmp_path / "out" / "leaderboard.csv").read_text()


def test_the_training_command_names_flags_losses_and_regularisers_that_exist():
    from methods.decoder import train

    (line,) = re.findall(r"python -m methods\.decoder\.train (.*)", README)
    recipe = train.build_recipe(train.build_parser().parse_args(shlex.split(line)))
    assert recipe.losses
    assert recipe.regularisers


def test_the_picture_is_there():
    for name in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / name).is_file()
