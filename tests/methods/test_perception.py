"""The inverting decoder: its shape, its losses, its training, its picture."""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.torch
import torch
import torchvision.models as models
from PIL import Image
from skimage.metrics import structural_similarity

from bench.classifiers.load import load_classifier
from bench.core.errors import UsageError
from methods.perception import show
from methods.perception.architecture import Inverter
from methods.perception.checkpoint import load_inverter
from methods.perception.loss import ssim
from methods.perception.training import command
from methods.perception.training.command import main
from tests.methods.interrupted import interrupted
from tests.toys import photo


@pytest.mark.parametrize(("side", "size", "blocks"), [(7, 224, 5), (14, 224, 4), (8, 240, 4), (7, 64, 3)])
def test_it_draws_an_image_of_the_input_size_from_any_maps(side, size, blocks):
    net = Inverter(12, side, size, 16)
    assert sum(isinstance(layer, torch.nn.ConvTranspose2d) for layer in net.blocks) == blocks
    drawn = net(torch.randn(2, 12, side, side))
    assert drawn.shape == (2, 3, size, size)
    assert (drawn >= 0).all()
    assert (drawn <= 1).all()


def test_the_papers_widths():
    net = Inverter(2048, 7, 224, 512)
    assert [layer.out_channels for layer in net.blocks if isinstance(layer, torch.nn.ConvTranspose2d)] == [
        512, 512, 256, 128, 64,
    ]  # fmt: skip


def test_ssim_is_skimages_inside_the_border():
    x, y = photo(2, size=40).double()
    y = (x + 0.2 * y).clamp(0, 1)
    _, full = structural_similarity(
        x.numpy(), y.numpy(), channel_axis=0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        data_range=1.0, full=True,
    )  # fmt: skip
    torch.testing.assert_close(ssim(x[None], y[None])[0].item(), float(np.mean(full[:, 5:-5, 5:-5])))
    torch.testing.assert_close(ssim(x[None], x[None])[0].item(), 1.0)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """(weights of a random ResNet-18, folder of 40 photographs)."""
    folder = tmp_path_factory.mktemp("perception")
    torch.manual_seed(0)
    safetensors.torch.save_file(models.resnet18().state_dict(), folder / "net.safetensors")
    for i, image in enumerate(photo(40, size=64)):
        file = folder / "images" / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy()).save(file)
    return folder / "net.safetensors", folder / "images"


def arguments(given, out, *more):
    weights, images = given
    return ["--model", "resnet18", "--weights", str(weights), "--data-root", str(images), "--out", str(out),
            "--batch-size", "18", "--epochs", "2", "--width", "16", "--lr", "0.01", *more]  # fmt: skip


@pytest.fixture(scope="module")
def trained(given, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("methods.training.command.curves", lambda rows, path: path.write_bytes(b""))
        assert main(arguments(given, out)) == 0
    return out / "net.safetensors"


def test_its_losses_fall_and_it_resumes_to_the_same_bits(given, trained, tmp_path, monkeypatch):
    monkeypatch.setattr("methods.training.command.curves", lambda rows, path: path.write_bytes(b""))
    head, *rows = [line.split(",") for line in (trained.parent / "log.csv").read_text().splitlines()]
    totals = [float(row[head.index("total")]) for row in rows]
    assert totals[-1] < totals[0]
    with interrupted(command.PerceptionTraining, 4):
        assert main(arguments(given, tmp_path, "--save-every", "1")) == 130
    assert main(arguments(given, tmp_path, "--save-every", "1")) == 0
    whole, again = safetensors.torch.load_file(trained), safetensors.torch.load_file(tmp_path / "net.safetensors")
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_the_picture_has_the_reconstruction_under_the_map(given, trained, tmp_path, capsys):
    classifier = load_classifier("resnet18", weights=given[0])
    inverter = load_inverter(trained, classifier)
    image, saliency, drawn, seen = show.panels(classifier, inverter, "grad-cam", photo(1, size=224)[0])
    assert saliency.shape == (224, 224)
    torch.testing.assert_close(seen, drawn * saliency)
    torch.testing.assert_close(drawn, inverter(classifier.features(image[None]))[0])
    out = tmp_path / "picture.png"
    flags = ["--model", "resnet18", "--weights", str(given[0]), "--out", str(out), "--limit", "2"]
    assert show.main([str(trained), *flags]) == 0
    assert Image.open(out).width == 880
    capsys.readouterr()
    assert show.main([str(trained), *flags, "--layer", "layer3"]) == 2
    assert "at another layer" in capsys.readouterr().err
    assert show.main([str(trained), *flags, "--method", "smoothgrad"]) == 2
    assert show.main([str(tmp_path / "none"), *flags]) == 2
    assert "python -m methods.perception.train" in capsys.readouterr().err


def test_another_classifiers_inverter_is_refused(trained):
    with pytest.raises(UsageError, match="with other weights"):
        load_inverter(trained, load_classifier("efficientnet_lite0"))
