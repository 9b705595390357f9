"""Facts of a user's net: converted or refused, never dropped."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.transforms import InterpolationMode

from bench.classifiers.facts import convert, read_classes, stated_by
from bench.classifiers.load import load_classifier
from bench.core.errors import UsageError

MEAN = [0.485, 0.456, 0.406]


@pytest.mark.parametrize(
    "value", [MEAN, tuple(MEAN), np.array(MEAN), torch.tensor(MEAN), torch.tensor(MEAN).view(1, 3, 1, 1)]
)
def test_a_mean_of_any_kind_is_three_numbers(value):
    assert convert("mean", value, "net") == pytest.approx(MEAN)


@pytest.mark.parametrize("value", [64, np.int64(64), 64.0, (64, 64), (3, 64, 64), [64], torch.tensor(64)])
def test_an_input_size_of_any_kind_is_a_side(value):
    assert convert("input_size", value, "net") == 64


@pytest.mark.parametrize("value", ["bicubic", "Bicubic", InterpolationMode.BICUBIC])
def test_an_interpolation_of_any_kind_is_a_name(value):
    assert convert("interpolation", value, "net") == "bicubic"


@pytest.mark.parametrize(
    "value", [["cat", "dog"], {0: "cat", 1: "dog"}, {"1": "dog", "0": "cat"}, {"cat": 0, "dog": 1}]
)
def test_classes_of_any_kind_are_names_by_index(value):
    assert convert("classes", value, "net") == ("cat", "dog")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("input_size", (64, 32), "side of a square"),
        ("input_size", 0, "whole number from 1"),
        ("input_size", 64.5, "whole number from 1"),
        ("input_size", "big", "must be numbers"),
        ("mean", [123.675, 116.28, 103.53], "divide it by 255"),
        ("std", [58.4, 57.1, 57.4], "divide it by 255"),
        ("std", [0, 0, 0], "above 0"),
        ("std", [0.2, float("nan"), 0.2], "finite"),
        ("mean", [0.5, 0.5], "3 numbers"),
        ("interpolation", "bicubi", "did you mean 'bicubic'"),
        ("classes", "cat,dog", "list of names"),
        ("classes", {0: "cat", 2: "dog"}, "0 … 1"),
        ("output", "softmax", "unknown"),
        ("prefix_tokens", -1, "at least 0"),
    ],
)
def test_what_cannot_be_converted_is_refused_by_name(name, value, message):
    with pytest.raises(UsageError, match=rf"{name if name != 'output' else 'output'}.*{message}"):
        convert(name, value, "net.py:build")


def test_a_buffer_called_mean_is_asked_about():
    net = nn.Linear(2, 2)
    net.register_buffer("mean", torch.zeros(3))
    with pytest.raises(UsageError, match=r"buffer called mean.*--mean 0 --std 1"):
        stated_by(net, "net.py:build")


def test_submodules_and_methods_state_nothing():
    net = nn.Module()
    net.layer, net.classes = nn.Linear(2, 2), lambda: 3
    assert stated_by(net, "net") == {}


def test_timms_recipe_is_read_and_the_nets_own_words_come_first():
    net = nn.Module()
    net.pretrained_cfg = {"input_size": (3, 96, 96), "mean": (0.5,) * 3, "std": (0.25,) * 3, "interpolation": "bicubic"}
    net.std = (0.1, 0.1, 0.1)
    found = stated_by(net, "net")
    assert (found["input_size"], found["mean"], found["std"]) == (96, (0.5,) * 3, (0.1,) * 3)


def test_class_names_come_from_lines_or_json(tmp_path):
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    (tmp_path / "names.json").write_text(json.dumps({"0": "cat", "1": "dog"}))
    assert read_classes(tmp_path / "names.txt") == read_classes(tmp_path / "names.json") == ("cat", "dog")
    for name, text in {"gap.txt": "cat\n\ndog", "empty.txt": "", "bad.json": "{"}.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(UsageError, match=name):
            read_classes(tmp_path / name)
    with pytest.raises(UsageError, match="cannot be read"):
        read_classes(tmp_path / "none.txt")


BLOCKS = "from torch import nn\ndef block(i, o): return nn.Sequential(nn.Conv2d(i, o, 3, 2, 1), nn.ReLU())\n"
NET = """
import torch
from torch import nn
from {module} import block
def build():
    torch.manual_seed(0)
    return nn.Sequential(block(3, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
build.input_size = 32
"""


def test_a_net_imports_its_neighbours_and_an_edited_neighbour_is_another_source(tmp_path):
    (tmp_path / "blocks_of_facts.py").write_text(BLOCKS)
    (tmp_path / "net.py").write_text(NET.format(module="blocks_of_facts"))
    first = load_classifier(f"{tmp_path / 'net.py'}:build")
    from bench.core.source import source_digest

    assert first.source == source_digest(tmp_path / "net.py") != ""
    (tmp_path / "blocks_of_facts.py").write_text(BLOCKS + "# edited\n")
    assert source_digest(tmp_path / "net.py") != first.source


def test_a_neighbour_of_a_name_that_is_taken_is_refused(tmp_path):
    (tmp_path / "json.py").write_text(BLOCKS)
    (tmp_path / "net.py").write_text(NET.format(module="json"))
    with pytest.raises(UsageError, match="has that name already; rename json.py"):
        load_classifier(f"{tmp_path / 'net.py'}:build")


def test_flags_replace_what_a_net_says():
    net = load_classifier("efficientnet_lite0", facts={"mean": (0.1, 0.2, 0.3), "input_size": 96})
    assert net.mean.tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert net.input_size == 96
