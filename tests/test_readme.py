"""What the README and the docs say works."""

from __future__ import annotations

import re
import shlex

import pytest

from bench.cli.parser import parse
from bench.core.protocols import protocol
from bench.run.build_request import DEFAULT_METRICS, resolve_metrics
from bench.run.select_sources import choose_sources
from bench.tables.paper_tables import load_table
from tests.places import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
README = PAGES[0].read_text()
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
SNIPPETS = [
    pytest.param(code, id=f"{page.name}-{number}")
    for page in PAGES
    for number, (language, code) in enumerate(BLOCK.findall(page.read_text()))
    if language == "python"
]
COMMANDS = [
    line
    for page in PAGES
    for language, block in BLOCK.findall(page.read_text())
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
    if args.table:
        assert load_table(args.table)
    if not config.plugin:  # tests/docs/test_files.py runs those
        assert resolve_metrics(config.metrics or DEFAULT_METRICS)
        assert choose_sources(config.methods)
    if config.protocol:
        assert protocol(config.protocol)


@pytest.mark.parametrize("code", [snippet for snippet in SNIPPETS if not re.match(r"# \w+\.py", snippet.values[0])])
def test_every_snippet_runs(code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "snippet", "exec"), {"__name__": "snippet"})
    assert capsys.readouterr().err == ""


def test_the_training_command_names_flags_losses_and_regularisers_that_exist():
    from methods.decoder.training import command

    page = (ROOT / "docs" / "decoder.md").read_text().replace("\\\n", "")
    lines = re.findall(r"python -m methods\.decoder\.train (.*)", page)
    assert len(lines) == 2
    for line in lines:
        recipe = command.build_recipe(command.build_parser().parse_args(shlex.split(line)))
        assert recipe.losses
        assert recipe.regularisers


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for name in re.findall(r"\]\(([^)#]+)\)", BLOCK.sub("", page.read_text())):
        if "://" not in name:
            assert (page.parent / name).exists(), name


def test_the_readme_fits_two_screens():
    assert len(README.splitlines()) <= 120
