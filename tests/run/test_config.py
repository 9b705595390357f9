"""The configuration of a run: from flags, files and mappings, and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cli.parser import parse
from bench.core.errors import UsageError
from bench.run.config import RunConfig, read_config

EVERYTHING = RunConfig(
    model="net.py:build", weights=("net=w.pth",), mean=(0.5, 0.4, 0.3), std=(1.0,), input_size=32,
    classes=Path("c.txt"), output="binary", judges="resnet18", judged="AD", layer="f.3", methods="grad-cam,cam",
    controls=False, maps=(Path("a"), Path("b")), metrics="AD,I", data="folder", data_root=Path("x"),
    boxes=Path("b.csv"), limit=3, skip=1, protocol="clean+steps=4", target="cat", seed=5, device="cpu",
    batch_size=7, dtype="bfloat16",
    channels_last=True, compile=True, plugin=("p.py",),
)  # fmt: skip


def test_a_mapping_gives_the_same_run_back():
    assert RunConfig.from_mapping(json.loads(json.dumps(EVERYTHING.as_mapping()))) == EVERYTHING
    assert RunConfig().as_mapping() == {}
    assert RunConfig(out=Path("x"), force=True, stored=True, engine="ray").as_mapping() == {}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.yaml", "methods: [grad-cam, 'opti-cam(steps=5)']\nmean: [0.5, 0.5, 0.5]\nbatch-size: auto\nlimit: 4\n"),
        ("run.toml", 'methods = ["grad-cam", "opti-cam(steps=5)"]\n'
                     'mean = [0.5, 0.5, 0.5]\nbatch-size = "auto"\nlimit = 4\n'),
        ("run.json", json.dumps({"cambench": "1", "config": {"methods": "grad-cam,opti-cam(steps=5)",
                                 "mean": [0.5, 0.5, 0.5], "batch_size": "auto", "limit": 4}})),
    ],
)  # fmt: skip
def test_files_state_the_same(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    expected = RunConfig(methods="grad-cam,opti-cam(steps=5)", mean=(0.5,) * 3, batch_size="auto", limit=4)
    assert RunConfig(**read_config(tmp_path / name)) == expected


def test_flags_override_the_file(tmp_path):
    (tmp_path / "run.yaml").write_text("methods: cam\nlimit: 4\ncontrols: false\n")
    _, config = parse(["--config", str(tmp_path / "run.yaml"), "--limit", "9"])
    assert config == RunConfig(methods="cam", limit=9, controls=False)


def test_without_flags_it_is_the_default():
    assert parse([])[1] == RunConfig()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("metods: cam\n", "'metods' is not a setting of a run; did you mean 'methods'"),
        ("limit: many\n", "limit is a whole number, not 'many'"),
        ("limit: true\n", "limit is a whole number"),
        ("controls: 1\n", "controls is true or false"),
        ("mean: [a]\n", "mean is numbers"),
        ("- cam\n", "must hold names and values"),
        ("a: [\n", "cannot be parsed"),
        ("limit: 0\n", "--limit must be"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, content, says):
    (tmp_path / "run.yaml").write_text(content)
    with pytest.raises(UsageError) as error:
        parse(["--config", str(tmp_path / "run.yaml")])
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        parse(["--config", str(tmp_path / "none.yaml")])


@pytest.mark.parametrize(
    ("name", "value"), [("batch_size", 0), ("batch_size", 10**6), ("limit", 0), ("skip", -1), ("seed", -1)]
)
def test_numbers_are_checked_at_once(name, value):
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} must be"):
        RunConfig(**{name: value})
