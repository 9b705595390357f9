"""Activation maximisation against closed forms, patches and receptive fields of known convolutions, the program."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from torch import nn

from bench.core.classifier import Classifier
from bench.inspect import main
from bench.inspection.maximise import maximise
from bench.inspection.patches import receptive_field, strongest
from bench.inspection.pictures import first_filters
from tests.toys import toy_classifier

MEAN = torch.tensor([0.4, 0.5, 0.6])


def linear(weights):
    return lambda images: (images * weights).sum((1, 2, 3))


def test_without_a_regulariser_a_linear_answer_ends_at_the_edges_of_the_range():
    weights = torch.randn(3, 8, 8).sign() * (0.5 + torch.rand(3, 8, 8))
    found = maximise(linear(weights), MEAN, 8, l2=0, steps=400, shift=0)
    assert torch.equal(found, (weights > 0).float())


def test_the_regulariser_gives_the_closed_form():
    """a(x) = <w, x>: x - mean = w n / (2 l2), n values."""
    weights = torch.randn(3, 8, 8)
    found = maximise(linear(weights), MEAN, 8, l2=2000.0, steps=4000, step=0.05, shift=0)
    wanted = MEAN[:, None, None] + weights * weights.numel() / 4000.0
    torch.testing.assert_close(found, wanted.clamp(0, 1), atol=2e-3, rtol=0)


def test_shifts_leave_what_repeats_itself():
    """Shifted by up to a whole side, all pixels of a colour have one answer on average."""
    weights = torch.randn(3, 8, 8)
    found = maximise(linear(weights), MEAN, 8, l2=2000.0, steps=4000, step=0.05, shift=8)
    still = maximise(linear(weights), MEAN, 8, l2=2000.0, steps=4000, step=0.05, shift=0)
    assert found.std((1, 2)).mean() < 0.2 * still.std((1, 2)).mean()


class Two(nn.Module):
    """Two 3 × 3 convolutions of stride 1: a position sees 5 × 5 pixels."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
        self.fc = nn.Linear(4, 2)
        with torch.no_grad():
            self.features[0].weight.abs_()
            self.features[0].bias.fill_(0.1)
            self.features[2].weight.abs_()

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


@pytest.fixture(scope="module")
def two():
    return Classifier(Two(), name="two", layer="features.2", input_size=16)


def test_the_receptive_field_is_that_of_the_convolutions(two):
    assert receptive_field(two, 8, 5) == (3, 6, 8, 11)
    assert receptive_field(two, 0, 15) == (13, 0, 16, 3)


def test_the_strongest_patches_lie_where_the_image_is_bright(two):
    images = []
    for number, brightness in enumerate((0.3, 0.9, 0.6, 0.8)):
        image = torch.zeros(3, 16, 16)
        image[:, 6:9, 9:12] = brightness
        images.append((f"{number}", image))
    found = strongest(two, 2, iter(images), count=3)
    assert [patch.image for patch in found] == ["1", "3", "2"]
    assert [patch.value for patch in found] == sorted((patch.value for patch in found), reverse=True)
    assert all(patch.box == (8, 5, 13, 10) for patch in found)
    assert found[0].cut.shape == (3, 5, 5)


def test_first_filters_are_shown_each_in_its_own_range():
    picture = first_filters(toy_classifier("gap_linear"))
    assert picture.shape == (3, 3 * 8 + 8, 8 * (3 * 8 + 4) + 4)
    assert picture.min() == 0
    assert picture.max() == 1


def net(tmp_path):
    (tmp_path / "net.py").write_text(
        "from tests.inspection.test_inspect import Two\n\n\ndef build():\n    return Two()\n\n\nbuild.input_size = 32\n"
    )
    return ["--model", f"{tmp_path / 'net.py'}:build", "--out", str(tmp_path / "a.png")]


@pytest.mark.parametrize("what", ["class", "channel", "patches", "filters"])
def test_each_picture_is_a_png(what, tmp_path, capsys):
    assert main([what, *net(tmp_path), "--index", "1", "--steps", "3", "--limit", "4"]) == 0
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == (32, 32) or what in ("patches", "filters")
    assert str(tmp_path / "a.png") in capsys.readouterr().out


def test_an_index_beyond_the_last_is_named(tmp_path, capsys):
    assert main(["class", *net(tmp_path), "--index", "2"]) == 2
    assert "--index 2 is beyond the 2 classes" in capsys.readouterr().err
    assert main(["patches", *net(tmp_path), "--index", "4"]) == 2
    assert "--index 4 is beyond the 4 channels" in capsys.readouterr().err
