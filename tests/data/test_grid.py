"""The grid pointing game: mosaics, and the net that sees their cells apart."""

from __future__ import annotations

import random
from collections import Counter
from functools import cache
from itertools import combinations, product

import pytest
import torch
import torch.nn.functional as F
import torchvision.transforms.functional as TF
from PIL import Image
from torch import nn
from torchvision import transforms as T

import bench.data.grid as module
from bench.classifiers.difull import cells_apart, cut, joined
from bench.classifiers.load import load_classifier
from bench.core.classifier import Classifier
from bench.core.dataset import Dataset, Sample, load_dataset
from bench.core.errors import UsageError
from bench.core.explainer import EXPLAINERS
from bench.data.manifest import build_manifest
from bench.data.pixels import load_image
from tests.toys import CLASSES, MEAN, SIZE, STD, TOYS, photo, toy_classifier

COLOURS = torch.tensor([*product((0.0, 1.0), repeat=3), (0.5, 0.5, 0.5), (1.0, 0.5, 0.0)])
NAMES = tuple(f"class {i}" for i in range(len(COLOURS)))
ANY_SIZE = ("gap_linear", "signed_features", "residual_bypass", "branching")
"""The toys that take images of any size."""


class Nearest(nn.Module):
    """Logits -20 |x - c|² + 20 |x|² of an image's mean colour x for ten colours c."""

    def __init__(self):
        super().__init__()
        self.features, self.fc = nn.Conv2d(3, 3, 1), nn.Linear(3, len(COLOURS))
        with torch.no_grad():
            self.features.weight.copy_(torch.eye(3)[..., None, None])
            self.features.bias.zero_()
            self.fc.weight.copy_(40 * COLOURS)
            self.fc.bias.copy_(-20 * (COLOURS**2).sum(1))

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


@cache
def nearest():
    return Classifier(Nearest(), name="nearest", layer="features", input_size=SIZE, classes=NAMES)


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """Forty textured images of 40 × 36, four of each colour: one between its colour and the next, one in the folder of
    another colour."""
    root = tmp_path_factory.mktemp("images")
    for i, texture in enumerate(photo(40, 40)):
        label, kind = i % 10, i // 10
        colour = COLOURS[label].lerp(COLOURS[(label + 1) % 10], 0.4 if kind == 2 else 0)
        file = root / NAMES[(label + (kind == 3)) % 10] / f"{i}.png"
        file.parent.mkdir(exist_ok=True)
        TF.to_pil_image(0.1 + 0.7 * colour[:, None, None] + 0.1 * texture[:, :36]).save(file)
    return root


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "grid"


@pytest.fixture
def drawn(monkeypatch):
    """The groups of samples of which mosaics were made."""
    groups, draw = [], module.mosaic_of
    monkeypatch.setattr(module, "mosaic_of", lambda group, *rest: groups.append(group) or draw(group, *rest))
    return groups


def compose(root, classifier=None, **parameters):
    text = ",".join(f"{key}={value}" for key, value in {"of": "folder", **parameters}.items())
    return load_dataset(f"grid({text})", root).compose(classifier or nearest())


def shown(file):
    """(3, 32, 32) as protocol clean shows an image, by torchvision alone."""
    resize = T.Compose([T.Resize(round(SIZE * 256 / 224)), T.CenterCrop(SIZE), T.ToTensor()])
    return resize(Image.open(file).convert("RGB"))


def recognised(root, confidence):
    """Ids of the images whose nearest colour is their label, with at least that softmax."""
    found = set()
    for file in root.glob("*/*.png"):
        p = (-20 * ((shown(file).mean((1, 2)) - COLOURS).double() ** 2).sum(1)).softmax(0)
        if f"class {p.argmax()}" == file.parent.name and p.max() >= confidence:
            found.add(f"{file.parent.name}/{file.stem}")
    return found


def ids(groups):
    return [sample.id for group in groups for sample in group]


@pytest.mark.parametrize(("n", "size"), [(2, 32), (3, 32), (3, 224), (2, 260), (7, 224)])
def test_cells_cover_the_mosaic_once_and_differ_by_a_pixel_at_most(n, size):
    covered = torch.zeros(size, size)
    found = module.cells(n, size)
    for x0, y0, x1, y1 in found:
        covered[y0:y1, x0:x1] += 1
    assert len(found) == n * n
    assert (covered == 1).all()
    sides = {side for x0, y0, x1, y1 in found for side in (x1 - x0, y1 - y0)}
    assert max(sides) - min(sides) == (size % n > 0)


def test_cells_of_three_on_224_are_in_reading_order():
    assert module.cells(3, 224)[:4] == [(0, 0, 75, 75), (75, 0, 149, 75), (149, 0, 224, 75), (0, 75, 75, 149)]


@pytest.mark.parametrize("n", [2, 3])
def test_a_mosaic_holds_its_images_shrunk_and_the_protocol_shows_it_unchanged(images, drawn, n):
    found, classifier = compose(images, n=n)
    assert classifier is nearest()
    assert found.protocol == "grid"
    assert len(drawn) >= 2
    for group, first in zip(drawn, found.samples[:: n * n], strict=True):
        pixels = load_image(first, "squash", SIZE, "bicubic")
        assert torch.equal(pixels, TF.to_tensor(Image.open(first.path)))
        for sample, (x0, y0, x1, y1) in zip(group, module.cells(n, SIZE), strict=True):
            small = F.interpolate(shown(sample.path)[None], (y1 - y0, x1 - x0), mode="bilinear", antialias=True)[0]
            assert (pixels[:, y0:y1, x0:x1] - small).abs().max() <= 0.5001 / 255


@pytest.mark.parametrize("n", [2, 3])
def test_every_cell_is_a_sample_with_the_class_of_its_image_and_the_cell_as_box(images, drawn, n):
    found, _ = compose(images, n=n)
    assert found.classes == NAMES
    expected = [
        (f"grid-{n}x{n}-{number:05}/cell-{cell}", NAMES.index(sample.path.parent.name), (box,))
        for number, group in enumerate(drawn, 1)
        for cell, (sample, box) in enumerate(zip(group, module.cells(n, SIZE), strict=True), 1)
    ]
    assert [(s.id, s.label, s.boxes) for s in found.samples] == expected


@pytest.mark.parametrize("confidence", [0, 0.6, 0.9])
def test_mosaics_are_of_confidently_recognised_images_each_used_once(images, drawn, confidence):
    known = recognised(images, confidence)
    assert len(known) == {0: 25, 0.6: 23, 0.9: 17}[confidence]
    compose(images, confidence=confidence)
    assert len(drawn) == len(known) // 4
    assert len(set(ids(drawn))) == len(ids(drawn))
    assert set(ids(drawn)) <= known
    assert all(len({sample.label for sample in group}) == 4 for group in drawn)


def test_a_number_of_mosaics_takes_the_images_that_come_first_and_no_more(images, drawn, monkeypatch):
    asked = []
    monkeypatch.setattr(
        module, "recognised", lambda batch, *rest: asked.append(len(batch)) or [s for s in batch if s.label < 8]
    )
    compose(images, mosaics=2)
    assert len(drawn) == 2
    assert asked == [20]


def test_more_mosaics_than_the_images_make_at_once_use_them_again_in_other_company(images, drawn):
    compose(images, mosaics=30)
    assert len(drawn) == 30
    assert len({tuple(sample.id for sample in group) for group in drawn}) == 30
    assert all(len({sample.label for sample in group}) == 4 for group in drawn)
    assert set(ids(drawn)) == recognised(images, 0.5)
    with pytest.raises(UsageError, match="4 images make only 24 different mosaics"):
        module.arrange(drawn[0], 4, 100)


def some(counts):
    return [Sample(f"{label}-{i}", None, label) for label, count in enumerate(counts) for i in range(count)]


@cache
def most_groups(counts, size):
    """How many times `size` different classes can be taken, by trying everything."""
    options = combinations([i for i, count in enumerate(counts) if count], size)
    rests = ({i: c - (i in taken) for i, c in enumerate(counts)}.values() for taken in options)
    return max((1 + most_groups(tuple(sorted(rest)), size) for rest in rests), default=0)


@pytest.mark.parametrize("seed", range(12))
def test_uneven_classes_make_as_many_groups_as_can_be(seed):
    counts = tuple(sorted(random.Random(seed).choices([1, 1, 2, 3, 5], k=6)))
    for size in (2, 4):
        assert len(module.arrange(some(counts), size, 0)) == most_groups(counts, size)


def test_classes_take_every_place_in_the_mosaic():
    """Also the class with the most images, which is in every group."""
    places = Counter([s.label for s in group].index(0) for group in module.arrange(some((200, 70, 70, 70)), 4, 0))
    assert len(places) == 4
    assert min(places.values()) >= 7  # of 70, binomial with p = 1/4


def test_neither_mosaics_nor_files_depend_on_the_order_of_the_images(images, folder, monkeypatch):
    first, _ = compose(images, mosaics=7)
    times = {file: file.stat().st_mtime_ns for file in folder.iterdir()}

    def reverse(name, root):
        found = load_dataset(name, root)
        return Dataset(found.name, found.samples[::-1], found.classes)

    monkeypatch.setattr(module, "load_dataset", reverse)
    again, _ = compose(images, mosaics=7)
    assert again == first
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == times
    assert {s.path for s in first.samples} == set(times)
    assert first.root == folder


def test_cells_of_a_mosaic_share_its_file_and_differ_in_annotation(images):
    found, _ = compose(images)
    manifest = build_manifest(found, progress=False)
    assert (manifest.problem == "").all()
    assert (manifest.groupby("digest").size() == 4).all()
    assert len({s.annotation for s in found.samples[:4]}) == 4


def test_a_broken_image_is_named_and_left_out(tmp_path, drawn, caplog):
    for label in range(5):
        (tmp_path / NAMES[label]).mkdir()
        colour = tuple(int(255 * part) for part in COLOURS[label])
        Image.new("RGB", (40, 40), colour).save(tmp_path / NAMES[label] / "a.png")
    (tmp_path / NAMES[2] / "a.png").write_bytes(b"no image")
    compose(tmp_path)
    assert sorted(ids(drawn)) == [f"class {label}/a" for label in (0, 1, 3, 4)]
    assert "class 2/a.png is left out" in caplog.text


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"n": 1}, "from 2 to 32"), ({"mosaics": -1}, "from 0 to 100000"), ({"confidence": 2}, "from 0 to 1"),
     ({"n": 4}, "of 40 images of folder, nearest recognises 25 of 10 classes .* at least 0.5, .* needs 16 classes"),
     ({"of": "foldr"}, "did you mean 'folder'")],
)  # fmt: skip
def test_what_cannot_be_is_told(images, parameters, message):
    with pytest.raises(UsageError, match=message):
        compose(images, **parameters)


def test_boxes_are_the_cells_alone(images):
    with pytest.raises(UsageError, match="leave --boxes out"):
        load_dataset("grid(of=folder)", images, images)


def test_a_cache_that_cannot_be_written_is_told(images, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CAMBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="set the environment variable CAMBENCH_CACHE"):
        compose(images)


def test_the_embedded_samples_and_net_make_a_grid_of_three():
    found, _ = load_dataset("grid(n=3)").compose(load_classifier("efficientnet_lite0"))
    assert len(found.samples) == 9
    assert len({s.label for s in found.samples}) == 9
    assert Image.open(found.samples[0].path).size == (224, 224)


def test_cutting_is_slicing_and_joining_its_inverse():
    x = photo(2, 30)
    pieces = cut(x, 3)
    expected = [x[i, :, r : r + 10, c : c + 10] for i in range(2) for r in (0, 10, 20) for c in (0, 10, 20)]
    assert torch.equal(pieces, torch.stack(expected))
    assert torch.equal(joined(pieces, 3), x)


@pytest.mark.parametrize("kind", ANY_SIZE)
def test_difull_gives_the_logits_of_every_cell_alone(kind):
    images, base = photo(3), TOYS[kind]()
    apart = cells_apart(toy_classifier(kind), 2)
    assert apart.num_classes == 4 * CLASSES
    assert torch.equal(apart.mean, torch.tensor(MEAN))
    normal = (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    with torch.no_grad():
        found, scored = apart.logits(images).view(3, 4, CLASSES), apart.score(images).view(3, 4, CLASSES)
        for cell, (x0, y0, x1, y1) in enumerate(module.cells(2, SIZE)):
            expected = base(normal[:, :, y0:y1, x0:x1])
            assert torch.allclose(found[:, cell], expected, rtol=1e-4, atol=1e-5)
            assert torch.allclose(scored[:, cell], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.parametrize("kind", ANY_SIZE)
def test_the_gradient_of_a_cells_logit_is_exactly_zero_outside_the_cell(kind, n):
    apart, images = cells_apart(toy_classifier(kind), n), photo(2).requires_grad_()
    for cell, (x0, y0, x1, y1) in enumerate(module.cells(n, SIZE)):
        (gradient,) = torch.autograd.grad(apart.logits(images)[:, cell * CLASSES + 3].sum(), images)
        assert (gradient[:, :, y0:y1, x0:x1] != 0).any(1).flatten(1).any(1).all()
        gradient[:, :, y0:y1, x0:x1] = 0
        assert not gradient.any()


@pytest.mark.parametrize("method", ["hires-cam", "layer-cam", "gradient"])
def test_exact_methods_have_their_whole_attribution_in_the_asked_cell(method):
    apart, images = cells_apart(toy_classifier(), 2), photo(4)
    targets = torch.tensor([cell * CLASSES + 2 for cell in range(4)])
    maps = EXPLAINERS[method].value.function(apart, images, targets)
    for saliency, (x0, y0, x1, y1) in zip(maps, module.cells(2, maps.shape[-1]), strict=True):
        assert saliency[y0:y1, x0:x1].any()
        saliency[y0:y1, x0:x1] = 0
        assert not saliency.any()


def test_difull_asks_for_the_class_in_its_cell(images):
    plain, _ = compose(images)
    found, apart = compose(images, difull="true")
    assert apart.name == "nearest-difull-2x2"
    assert apart.classes == tuple(f"cell {cell}: {name}" for cell in (1, 2, 3, 4) for name in NAMES)
    assert found.classes == apart.classes
    assert [s.label for s in found.samples] == [s.label + i % 4 * 10 for i, s in enumerate(plain.samples)]
    assert [(s.id, s.path, s.boxes) for s in found.samples] == [(s.id, s.path, s.boxes) for s in plain.samples]
    for sample in found.samples[:4]:
        image = load_image(sample, "squash", SIZE, "bilinear")[None]
        cell = sample.label // 10
        with torch.no_grad():
            assert apart.logits(image)[0, 10 * cell : 10 * (cell + 1)].argmax() == sample.label % 10


@pytest.mark.parametrize("kind", ["deep_head", "tokens"])
def test_difull_refuses_a_net_of_one_input_size(kind):
    with pytest.raises(UsageError, match=f"toy-{kind} cannot classify cells of 16 × 16 pixels"):
        cells_apart(toy_classifier(kind), 2)


def test_difull_refuses_cells_of_several_sizes():
    with pytest.raises(UsageError, match="3 × 3 cells do not divide the 32 pixels of toy-gap_linear; n may be 2, 4, 8"):
        cells_apart(toy_classifier(), 3)
