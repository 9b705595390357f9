"""Networks that are trained here, with random weights: as classifiers, and through the whole command line."""

from __future__ import annotations

import pandas as pd
import pytest
import safetensors.torch
import torch

from bench.classifiers.load import find_architecture, load_classifier
from cambench import main
from methods.denoise.nets import NETS
from methods.training.checkpoint import write_net
from tests.toys import photo


def stored(name, folder):
    """A file as the training writes it, and what `--model` and `--weights` are then."""
    if name.startswith("denoise:"):
        facts = {"architecture": name, "size": 32, "mean": (0.5,) * 3, "std": (0.25,) * 3, "classes": ("a", "b", "c"),
                 "trained_on": "nothing"}  # fmt: skip
        file = write_net(folder, NETS[name.removeprefix("denoise:")][0](3), facts)
        return f"denoise:{file}", None
    return name, write_net(folder, find_architecture(name).build(), {"architecture": name, "trained_on": "nothing"})


NAMES = ["castream:resnet18", "castream:mobilenet_v2@features.3+features.18", "denoise:resnet8", "denoise:mobilenet_v2",
         pytest.param("walls:vgg16@16", marks=pytest.mark.slow)]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_classifier_of_trunk_and_head(name, tmp_path):
    model, weights = stored(name, tmp_path)
    classifier = load_classifier(model, weights=weights)
    images = photo(3, size=classifier.input_size)
    logits = classifier.logits(images)
    assert logits.shape == (3, classifier.num_classes)
    torch.testing.assert_close(classifier.logits(images.flip(0)).flip(0), logits, rtol=1e-4, atol=1e-4)
    features, rest = classifier.trunk(images)[:2]
    assert features.ndim == 4
    torch.testing.assert_close(classifier.head(features, rest), logits, rtol=1e-4, atol=1e-4)
    again = load_classifier(model, weights=weights)
    assert again.digest == classifier.digest


@pytest.mark.parametrize("name", NAMES)
def test_the_command_line_ranks_explainers_on_it(name, tmp_path):
    model, weights = stored(name, tmp_path / "net")
    given = ["--weights", str(weights)] if weights else []
    methods = "grad-cam,layer-cam,gradient,ca-attention"
    assert main(["--model", model, *given, "--limit", "2", "--methods", methods, "--metrics", "AREA,AD",
                 "--out", str(tmp_path / "out"), "--no-controls"]) == 0  # fmt: skip
    (folder,) = [file.parent for file in (tmp_path / "out").rglob("run.json")]
    table = pd.read_csv(folder / "leaderboard.csv").set_index("method")
    assert (table.status[["grad-cam", "layer-cam", "gradient"]] == "ok").all()
    assert table.status["ca-attention"] == ("ok" if name.startswith("castream:") else "skipped")


@pytest.mark.parametrize("name", ["castream:resnet18", "denoise:resnet8"])
def test_the_file_of_another_network_is_refused_in_one_line(name, tmp_path, capsys):
    model, weights = stored(name, tmp_path / "net")
    file = weights or model.removeprefix("denoise:")
    safetensors.torch.save_file({"a": torch.zeros(2)}, file)
    given = ["--weights", str(file)] if weights else []
    assert main(["--model", model, *given, "--limit", "2", "--methods", "grad-cam"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
