"""The Python API: silent, returns objects, raises; its numbers are those of the command line."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import cambench as cb
from cambench import main
from tests.places import ASSETS, ROOT

TINY = f"{ASSETS / 'tiny.py'}:build"
MODULES = ("bench.api.catalogue", "bench.api.classifiers", "bench.api.data", "bench.api.evaluate", "bench.api.explain",
           "bench.core.registry", "bench.run.config", "cambench")  # fmt: skip


class Net(nn.Module):
    """A network of the user's, in memory."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
        self.fc = nn.Linear(4, 3)
        self.input_size, self.classes = 32, ["cat", "dog", "owl"]
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


def brightness(classifier, images, targets, *, power: float = 1.0):
    return images.mean(1) ** power


@pytest.fixture(scope="module")
def net() -> cb.Classifier:
    return cb.load_classifier(Net())


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (root / label).mkdir()
        for index in range(3):
            small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
            small.resize((48, 40), Image.Resampling.BICUBIC).save(root / label / f"{index}.png")
    return root


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_the_docstrings_run(module):
    found = importlib.import_module(module)
    result = doctest.testmod(found, extraglobs={"load_classifier": cb.load_classifier, "np": np})
    assert result.failed == 0
    assert result.attempted > 0


def test_a_network_in_memory_tells_what_was_understood(net):
    assert repr(net) == ("Net: layer features, input 3 × 32 × 32, normalisation none stated: images enter as [0, 1], "
                         "bilinear, output logits, 3 classes (cat, dog, owl)")  # fmt: skip
    assert cb.load_classifier(Net(), mean=(0.5,) * 3, std=(0.25,) * 3, name="mine").normalisation == (
        "mean 0.5, 0.5, 0.5; std 0.25, 0.25, 0.25")  # fmt: skip
    with pytest.raises(cb.UsageError, match="layer"):
        cb.load_classifier(Net(), layer="nowhere")


def test_all_kinds_of_pictures_are_one_picture(net, photos):
    file = photos / "cat" / "0.png"
    picture = Image.open(file)
    array = np.asarray(picture)
    forms = [file, str(file), picture, array, array.astype(np.float32) / 255,
             torch.from_numpy(array.copy()).permute(2, 0, 1)]  # fmt: skip
    maps = [cb.explain(net, form, "gradient").map for form in forms]
    for other in maps[1:]:
        np.testing.assert_array_equal(other, maps[0])


def test_an_explanation_is_numpy_and_shows_itself(net, photos):
    e = cb.explain(net, photos / "cat" / "0.png", "grad-cam", target="dog")
    assert (e.map.shape, e.raw.shape, e.image.shape) == ((32, 32), (32, 32), (32, 32, 3))
    assert e.map.min() == 0
    assert e.map.max() == 1
    assert (e.target, e.label) == (1, "dog")
    image = torch.from_numpy(e.image).permute(2, 0, 1)[None]
    assert e.probability == pytest.approx(net.logits(image).softmax(1)[0, 1].item(), abs=1e-6)
    assert e.overlay(0).size == (32, 32)
    np.testing.assert_allclose(np.asarray(e.overlay(0)) / 255, e.image, atol=1 / 255)
    assert e._repr_png_().startswith(b"\x89PNG")


def test_images_and_methods_come_out_one_by_one(net, photos):
    files = sorted(photos.rglob("*.png"))
    found = cb.explain(net, files, ["grad-cam", brightness])
    assert [(e.image_name, e.method) for e in found[:3]] == [("0", "grad-cam"), ("0", "brightness"), ("1", "grad-cam")]
    assert len(found) == 12
    alone = cb.explain(net, files[4], "grad-cam")
    np.testing.assert_allclose(found[8].map, alone.map, atol=1e-6)
    assert isinstance(cb.explain(net, files[:1], "grad-cam"), list)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (torch.randn(3, 32, 32), r"\[0, 1\]"),
        (np.zeros((4, 4, 7)), r"shape \(4, 4, 7\)"),
        ("nowhere.jpg", "file not found"),
        (7, "is a int"),
    ],
)
def test_what_is_no_image_is_one_line(net, image, says):
    with pytest.raises(cb.UsageError, match=says):
        cb.explain(net, image)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"target": "cow"}, "not a class of Net.*did you mean|known"),
        ({"target": "true"}, "labels="),
        ({"methods": "grad-camm"}, "did you mean 'grad-cam'"),
        ({"methods": 5}, "not 5"),
        ({"protocol": "cleen"}, "did you mean 'clean'"),
    ],
)
def test_what_is_unknown_is_one_line(net, photos, options, says):
    with pytest.raises(cb.UsageError, match=says):
        cb.explain(net, photos / "cat" / "0.png", **options)


def test_evaluate_gives_the_command_lines_numbers_under_its_keys(photos, tmp_path, capsys):
    assert main(["--model", TINY, "--data", "folder", "--data-root", str(photos), "--methods", "grad-cam,gradient",
                 "--metrics", "AD,I", "--device", "cpu", "--out", str(tmp_path / "line")]) == 0  # fmt: skip
    capsys.readouterr()
    ours = cb.evaluate(TINY, photos, ["grad-cam", "gradient"], ["AD", "I"], device="cpu", out=tmp_path / "api")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")
    theirs = cb.load_results(tmp_path / "line")
    pd.testing.assert_frame_equal(ours.frame(), theirs.frame())
    pd.testing.assert_frame_equal(ours.differences(), theirs.differences())
    assert set(ours.stored.key) == set(theirs.stored.key)
    assert ours.frame().loc["grad-cam", "AD"] == pytest.approx(ours.scores().AD["grad-cam"].mean(), rel=1e-5)
    assert cb.load_results(tmp_path / "api").table() == ours.table()


def test_a_function_is_a_row_and_its_keywords_are_parameters(net, photos):
    r = cb.evaluate(net, photos, ["grad-cam", brightness], "AD", controls=False)
    assert sorted(r.frame().index) == ["brightness", "grad-cam"]
    assert set(r.frame().status) == {"ok"}
    image = cb.explain(net, photos / "cat" / "0.png", brightness)
    masked = torch.from_numpy(image.image * image.map[..., None]).permute(2, 0, 1)[None]
    p = net.logits(masked.float()).softmax(1)[0, image.target].item()
    drop = 100 * max(0, image.probability - p) / image.probability
    assert r.scores().AD["brightness", "cat/0"] == pytest.approx(drop, abs=1e-3)


def test_a_failing_function_is_told_and_the_others_have_their_numbers(net, photos):
    def broken(classifier, images, targets):
        raise RuntimeError("no")

    r = cb.evaluate(net, photos, ["grad-cam", broken], "AD", controls=False)
    assert r.failed == ["broken"]
    assert r.frame().reason["broken"] == "RuntimeError: no"
    assert r.frame().status["grad-cam"] == "ok"


def test_written_results_are_read_back(net, photos, tmp_path):
    r = cb.evaluate(net, photos, "grad-cam", "AD,D", controls=False, protocol="clean+steps=4")
    r.write(tmp_path / "out")
    back = cb.load_results(tmp_path / "out")
    pd.testing.assert_frame_equal(back.frame(), r.frame())
    pd.testing.assert_frame_equal(back.scores().sort_index(), r.scores().sort_index())
    pd.testing.assert_frame_equal(back.curves("D").sort_index(), r.curves("D").sort_index())
    assert r.curves("D").shape == (6, 5)
    assert r.curves("D").columns.tolist() == [0, 0.25, 0.5, 0.75, 1]
    with pytest.raises(cb.UsageError, match="no curve"):
        r.curves("AD")
    with pytest.raises(cb.UsageError, match="no metric 'I'"):
        r.curves("I")
    with pytest.raises(cb.UsageError, match=r"no leaderboard\.csv"):
        cb.load_results(tmp_path)


def test_two_runs_are_compared_over_common_images(net, photos):
    a = cb.evaluate(net, photos, "grad-cam,gradient", "AD", controls=False, limit=5)
    b = cb.evaluate(net, photos, "grad-cam,gradient", "AD", controls=False, target="least")
    with pytest.raises(cb.UsageError, match="different protocols"):
        cb.compare(a, b)
    found = cb.compare(a, b, across_protocols=True)
    assert found.settings.loc["protocol"].tolist() == ["clean", "clean+target=least"]
    row = found.differences.set_index(["method", "metric"]).loc["gradient", "AD"]
    one, other = a.scores().AD["gradient"], b.scores().AD["gradient"]
    assert row.n == 5
    assert row.difference == pytest.approx((other - one).dropna().mean(), rel=1e-6)
    assert row.b - row.a == pytest.approx(row.difference, rel=1e-6)


def test_an_explainer_called_directly_fills_in_seeds_and_parameters(net):
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    smooth = cb.explainers["smoothgrad"]
    one = smooth(net, images, [0, 1], samples=3)
    assert one.shape == (2, 32, 32)
    torch.testing.assert_close(one, smooth(net, images, torch.tensor([0, 1]), samples=3))
    torch.testing.assert_close(one, cb.explainers["smoothgrad(samples=3)"](net, images, [0, 1]))
    assert not torch.equal(one, smooth(net, images, [0, 1], samples=3, seed=1))
    with pytest.raises(cb.UsageError, match="no parameter 'sample'"):
        smooth(net, images, sample=3)


def test_lists_are_data_frames():
    assert {"grad-cam", "opti-cam", "fake-cam"} <= set(cb.list_methods().index)
    assert cb.list_metrics().loc["D", "better"] == "lower"


def test_it_never_exits(net):
    with pytest.raises(cb.UsageError):
        cb.evaluate(net, "no-such-data")
    with pytest.raises(cb.UsageError, match="did you mean 'limit'"):
        cb.evaluate(net, limitt=3)


LIBRARIES = ("torchvision", "timm", "captum", "sklearn", "scipy", "matplotlib", "pandas", "pytorch_grad_cam", "ray")


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import cambench", ("torch", *LIBRARIES)),
        ("from cambench import explainer, metric, Classifier", LIBRARIES),
        ("import cambench; cambench.main(['--version'])", ("torch", *LIBRARIES)),
        ("import cambench\ntry: cambench.main(['--help'])\nexcept SystemExit: pass", ("torch", *LIBRARIES)),
        ("import cambench\ntry: cambench.main(['--methds', 'all'])\nexcept SystemExit: pass", ("torch", *LIBRARIES)),
    ],
)
def test_what_needs_no_library_imports_none(code, absent):
    program = f"{code}\nimport sys; print([name for name in {absent} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert ended.stdout.splitlines()[-1] == "[]", ended.stdout + ended.stderr


def test_the_list_builds_no_network(monkeypatch, capsys):
    from bench.classifiers import load

    monkeypatch.setattr(load, "load_classifier", lambda *args, **kwargs: pytest.fail("a network was built"))
    assert main(["--list"]) == 0
    assert "opti-cam" in capsys.readouterr().out


FIRST_CALLS = {
    "list_methods": "cb.list_methods()",
    "list_metrics": "cb.list_metrics()",
    "explainers": "cb.explainers['grad-cam']",
    "load_dataset": "cb.load_dataset('samples')",
    "load_classifier": "cb.load_classifier('efficientnet_lite0')",
}


@pytest.mark.parametrize("name", sorted(FIRST_CALLS))
def test_every_function_works_as_the_first_call_of_a_program(name):
    """Explainers, metrics, data sets and networks are registered by whatever needs them first."""
    program = f"import cambench as cb; {FIRST_CALLS[name]}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
