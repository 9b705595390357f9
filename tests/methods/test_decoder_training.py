"""The training program on a toy classifier that looks at one known patch."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from PIL import Image
from safetensors import safe_open

from bench.classifiers.load import load_classifier
from bench.core.classifier import Classifier
from bench.core.dataset import load_dataset
from bench.core.errors import UsageError
from bench.core.explainer import EXPLAINERS
from bench.core.user_code import load_file
from bench.data.pixels import load_image
from methods.decoder import checkpoint
from methods.decoder.architecture import Decoder, min_max
from methods.decoder.explainer import decoder as explain
from methods.decoder.reading import configure, read
from methods.decoder.training import command, pictures
from methods.decoder.training.adversary import Adversary
from methods.decoder.training.cache import cached, restored
from methods.decoder.training.command import main
from methods.decoder.training.loop import DecoderTraining as Training
from methods.decoder.training.losses import LOSSES, Views
from methods.decoder.training.recipe import Recipe
from methods.decoder.training.regularisers import REGULARISERS
from methods.decoder.training.views import COMPOSITIONS, Scene
from methods.training.augment import crop_and_flip
from methods.training.loop import Places
from methods.training.photographs import Photographs, batches, split
from tests.toys import photo

PATCH_NET = '''
import torch
from torch import nn

class PatchNet(nn.Module):
    """Class 0 where the patch [8:24, 8:24] is bright, class 1 where it is dark; no other pixel plays a part."""
    input_size = 32

    def __init__(self):
        super().__init__()
        window = torch.zeros(32, 32)
        window[8:24, 8:24] = 1
        self.register_buffer("window", window)
        self.features = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.ReLU())
        self.fc = nn.Linear(8, 2)
        with torch.no_grad():
            self.features[0].weight.copy_(torch.linspace(0.5, 1.5, 8).view(8, 1, 1, 1).expand(8, 3, 4, 4) / 48)
            self.features[0].bias.zero_()
            self.fc.weight.copy_(torch.stack([torch.full((8,), 10.0), torch.zeros(8)]))
            self.fc.bias.copy_(torch.tensor([0.0, 4.0]))

    def forward(self, x):
        return self.fc(self.features(x * self.window).mean((2, 3)))
'''
FACTS = ("decoder.safetensors", "last.safetensors", "log.csv", "curves.png", "maps.png")


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """(FILE.py:NAME, folder of 40 photographs of two classes)."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "patch_net.py").write_text(PATCH_NET)
    for i, image in enumerate(photo(40, size=37)):
        file = folder / "images" / "ab"[i % 2] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = (image * (1 if i % 2 == 0 else 0.3) * 255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(file)
    return f"{folder / 'patch_net.py'}:PatchNet", folder / "images"


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """They take longer than these trainings; one test draws them."""
    monkeypatch.setattr(pictures, "maps", lambda classifier, decoder, path: path.write_bytes(b""))
    monkeypatch.setattr(command, "curves", lambda rows, path: path.write_bytes(b""))


def arguments(toy, out, *more):
    return ["--model", toy[0], "--data-root", str(toy[1]), "--cache", str(toy[1].parent / "cache"), "--out", str(out),
            "--batch-size", "8", "--width", "16", "--device", "cpu", *more]  # fmt: skip


def loaded(toy):
    return load_dataset("folder", toy[1])


def tensors(path):
    return safetensors.torch.load_file(path)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def overlap(saliency):
    """Intersection over union of the map above 0.5 with the patch."""
    shown, patch = min_max(saliency) > 0.5, torch.zeros(32, 32, dtype=torch.bool)
    patch[8:24, 8:24] = True
    return ((shown & patch).sum((1, 2)) / (shown | patch).sum((1, 2))).mean().item()


def test_a_decoder_learns_where_the_classifier_looks(toy, tmp_path, monkeypatch):
    """Drawing alone, without a class or a CAM to start from, on photographs that it never saw; the command leaves a
    checkpoint, a log and pictures."""
    monkeypatch.undo()
    recipe = ["--loss", "ce=1,destroy=0.3", "--regulariser", "l1=0.5", "--conditioning", "none", "--no-residual"]
    assert main(arguments(toy, tmp_path, *recipe, "--stages", "2", "--epochs", "25", "--lr", "0.02")) == 0
    classifier = load_classifier(toy[0])
    weights = str(tmp_path / "decoder.safetensors")
    unseen, bright = photo(8, size=32, seed=100), torch.zeros(8, dtype=torch.long)
    assert overlap(explain(classifier, unseen, bright, weights=weights)) >= 0.8
    untrained = Decoder(checkpoint.read_facts(tmp_path / "decoder.safetensors").config)
    with torch.no_grad():
        assert overlap(untrained(read(classifier, untrained.config, unseen))) < 0.5

    assert all((tmp_path / name).stat().st_size > 0 for name in FACTS)
    log = pd.read_csv(tmp_path / "log.csv")
    assert log.epoch.tolist() == list(range(1, 26))
    assert log.columns.tolist() == ["epoch", "total", "ce", "destroy", "l1", "val_AD", "val_AG", "val_AI", "val_area"]
    assert log.total.iloc[-1] < log.total.iloc[0]
    np.testing.assert_allclose(log.total, log.ce + 0.3 * log.destroy + 0.5 * log.l1, rtol=1e-5)
    facts = checkpoint.read_facts(tmp_path / "decoder.safetensors")
    assert facts.cost["epochs"] == 25
    assert facts.cost["seconds"] > 0
    assert "40 images" in facts.trained_on
    assert facts.recipe["loss"] == "ce=1,destroy=0.3"


@pytest.mark.parametrize(
    "more",
    [[], ["--adversarial", "0.3", "--background", "random"], ["--joint", "--target", "true"], ["--augment"],
     ["--conditioning", "selector", "--loss", "insertion,deletion,destroy", "--background", "noise"]],
    ids=["frozen", "adversarial", "joint", "augmented", "ranking"],
)  # fmt: skip
def test_an_interrupted_training_goes_on_to_the_same_bits(toy, tmp_path, monkeypatch, more):
    """Killed twice between two checkpoints: in the middle of the first epoch, and of the second."""
    more = [*more, "--epochs", "2", "--save-every", "2"]
    assert main(arguments(toy, tmp_path / "whole", *more)) == 0
    step = Training.take_step
    for stop in (3, 7):

        def take_step(self, batch, stop=stop):
            if self.progress.step == stop:
                raise KeyboardInterrupt
            return step(self, batch)

        monkeypatch.setattr(Training, "take_step", take_step)
        assert main(arguments(toy, tmp_path / "parts", *more)) == 130
        assert not (tmp_path / "parts" / "decoder.safetensors").exists()
    monkeypatch.setattr(Training, "take_step", step)
    assert main(arguments(toy, tmp_path / "parts", *more)) == 0
    for name in ("last.safetensors", "decoder.safetensors"):
        assert same(tensors(tmp_path / "whole" / name), tensors(tmp_path / "parts" / name))
    assert (tmp_path / "whole" / "log.csv").read_bytes() == (tmp_path / "parts" / "log.csv").read_bytes()


def test_a_finished_training_is_not_done_again_and_another_one_is_refused(toy, tmp_path, monkeypatch, capsys):
    assert main(arguments(toy, tmp_path, "--epochs", "1")) == 0
    before = tensors(tmp_path / "decoder.safetensors")
    monkeypatch.setattr(Training, "take_step", None)
    assert main(arguments(toy, tmp_path, "--epochs", "1")) == 0
    assert same(tensors(tmp_path / "decoder.safetensors"), before)
    assert main(arguments(toy, tmp_path, "--epochs", "1", "--lr", "0.1")) == 2
    assert "holds another training (other recipe); choose another --out" in capsys.readouterr().err


def test_the_seed_decides(toy, tmp_path):
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        main(arguments(toy, tmp_path / name, "--epochs", "1", "--seed", seed))
    a, b, c = (tensors(tmp_path / name / "decoder.safetensors") for name in "abc")
    assert same(a, b)
    assert not same(a, c)


def training(toy, recipe, tmp_path, companions=(), **options):
    """A training without a cache, on all images."""
    classifier = load_classifier(toy[0])
    dataset = loaded(toy)
    config = configure(classifier, ("features.0",), width=16, stages=1, **options)
    torch.manual_seed(0)
    decoder = Decoder(config)
    torch.nn.init.normal_(decoder.last.weight, std=0.1)
    images = Photographs(dataset, 32, "bilinear", labelled=recipe.target == "true")
    return Training(recipe, classifier, decoder, images, split(dataset), Places(tmp_path), companions=companions)


def batch_of(run, count=5):
    run.photographs.augment = False
    items = [run.photographs[(0, i)] for i in range(count)]
    return {name: torch.stack([item[name] for item in items]) for name in items[0]}


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("micro", [1, 2, 5])
def test_gradients_view_by_view_are_those_of_the_whole_objective(toy, tmp_path, joint, micro):
    recipe = Recipe("ce=2,mimic=0.3,destroy=0.5,insertion,deletion", "area(target=0.1)=2,tv", "noise",
                    target="true", joint=joint)  # fmt: skip
    run = training(toy, recipe, tmp_path)
    run.progress.micro = micro
    prepared = run.prepared(batch_of(run))
    sums, _ = run.gradients(prepared)
    parameters = [p for group in run.optimisers["adam"].param_groups for p in group["params"]]
    found = [p.grad.clone() for p in parameters]

    for parameter in parameters:
        parameter.grad = None
    reading = read(run.classifier, run.decoder.config, prepared["x"], prepared["labels"], graph=joint)
    mask = run.decoder.mask(run.decoder(reading))
    scene = Scene(prepared["x"], mask, prepared["background"], prepared["share"], run.classifier.mean)
    seen = {name: run.classifier.logits(compose(scene)) for name, compose in COMPOSITIONS.items()}
    views = Views(reading.logits.detach(), reading.targets, mask, **seen)
    weights = {"ce": 2, "mimic": 0.3, "destroy": 0.5, "insertion": 1, "deletion": 1}
    objective = sum(weight * LOSSES[name].value.function(views).mean() for name, weight in weights.items())
    objective = objective + 2 * REGULARISERS["area"].value(mask, target=0.1).mean()
    objective = objective + REGULARISERS["tv"].value(mask).mean()
    if joint:
        objective = objective + torch.nn.functional.cross_entropy(reading.logits, prepared["labels"])
    objective.backward()
    assert sums["total"] / 5 == pytest.approx(objective.item(), rel=1e-4)
    for parameter, gradient in zip(parameters, found, strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-3, atol=1e-5)


def lenient(toy):
    """The toy's network with other class weights."""
    file, _, name = toy[0].rpartition(":")
    net = getattr(load_file(Path(file)), name)()
    with torch.no_grad():
        net.fc.weight.mul_(0.5)
    return net


def test_the_objective_is_the_mean_over_the_explained_network_and_its_companions(toy, tmp_path):
    """Each network's losses are those of a training on it alone, by its own clean logits."""
    companion = Classifier(lenient(toy), name="lenient", layer="features[-1]", input_size=32)
    terms = ("mimic=0.3,drop=2,keep-odds(temperature=2)", "", "black")
    both = Recipe(*terms, companions=(f"lenient@{companion.digest}",))
    run = training(toy, both, tmp_path, companions=(companion,))
    batch = batch_of(run)
    sums, kept = run.gradients(run.prepared(batch))
    masks = torch.cat(kept)
    gradient = [p.grad.clone() for p in run.decoder.parameters() if p.grad is not None]
    values = {}
    for net in (run.classifier, companion):
        clean, seen = (net.logits(x).detach() for x in (batch["images"] / 255, batch["images"] / 255 * masks[:, None]))
        targets = run.classifier.logits(batch["images"] / 255).argmax(1)
        views = Views(clean, targets, masks, masked=seen)
        values[net.name] = {term.label: term.spec.value.function(views, **term.spec.params) for term in both.losses}
    for label in values["lenient"]:
        assert sums[label] == pytest.approx(values[run.classifier.name][label].sum().item(), rel=1e-4)
        assert sums[f"{label} (lenient)"] == pytest.approx(values["lenient"][label].sum().item(), rel=1e-4)
    weighted = [sum(term.weight * values[name][term.label] for term in both.losses).sum().item() for name in values]
    assert sums["total"] == pytest.approx(sum(weighted) / 2, rel=1e-4)
    assert weighted[0] != pytest.approx(weighted[1], rel=0.05)
    alone = training(toy, Recipe(*terms), tmp_path)
    alone.gradients(alone.prepared(batch))
    single = [p.grad for p in alone.decoder.parameters() if p.grad is not None]
    assert any(not torch.allclose(one, other) for one, other in zip(gradient, single, strict=True))


def test_networks_that_helped_never_judge_the_maps(toy, tmp_path):
    """Companions, and those of the checkpoint that a training started from, are the explainer's helpers."""
    weights, out = tmp_path / "lenient.safetensors", tmp_path / "first"
    safetensors.torch.save_file(lenient(toy).state_dict(), weights)
    assert main(arguments(toy, out, "--epochs", "1", "--companions", f"{toy[0]}={weights}")) == 0
    classifier, first = load_classifier(toy[0]), out / "decoder.safetensors"
    digest = load_classifier(toy[0], weights=weights).digest
    helpers = EXPLAINERS["decoder"].value.helpers
    assert helpers(classifier, weights=str(first)) == (digest,)
    assert main(arguments(toy, tmp_path / "second", "--epochs", "1", "--init", str(first))) == 0
    assert helpers(classifier, weights=str(tmp_path / "second" / "decoder.safetensors")) == (digest,)
    assert helpers(classifier, weights="") == ()


def test_out_of_memory_halves_the_images_at_once_and_says_so(toy, tmp_path, monkeypatch, capsys):
    assert main(arguments(toy, tmp_path / "whole", "--epochs", "1")) == 0
    score = Classifier.score

    def small(self, images):
        if len(images) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return score(self, images)

    monkeypatch.setattr(Classifier, "score", small)
    capsys.readouterr()
    assert main(arguments(toy, tmp_path / "halved", "--epochs", "1")) == 0
    told = capsys.readouterr()
    assert "out of memory: 4 images at once" in told.out + told.err
    assert "out of memory: 2 images at once" in told.out + told.err
    with safe_open(tmp_path / "halved" / "last.safetensors", "pt") as opened:
        assert json.loads(opened.metadata()["progress"])["micro"] == 2
    one, other = (pd.read_csv(tmp_path / name / "log.csv") for name in ("whole", "halved"))
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_out_of_memory_with_one_image_is_told(toy, tmp_path, monkeypatch, capsys):
    def never(self, images):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(Classifier, "score", never)
    assert main(arguments(toy, tmp_path)) == 2
    assert "out of memory with a single image" in capsys.readouterr().err


def test_joint_training_learns_to_classify_and_leaves_a_net_that_its_decoder_fits(toy, tmp_path):
    assert main(arguments(toy, tmp_path, "--joint", "--target", "true", "--epochs", "6", "--net-lr", "0.1")) == 0
    log = pd.read_csv(tmp_path / "log.csv")
    assert log.classify.iloc[-1] < log.classify.iloc[0]
    before, after = load_classifier(toy[0]), load_classifier(toy[0], weights=tmp_path / "net.safetensors")
    assert before.digest != after.digest
    weights = str(tmp_path / "decoder.safetensors")
    assert explain(after, photo(2), torch.tensor([0, 1]), weights=weights).shape == (2, 32, 32)
    with pytest.raises(UsageError, match="was trained for"):
        explain(before, photo(2), torch.tensor([0, 1]), weights=weights)


def test_frozen_training_leaves_the_classifier_as_it_was(toy, tmp_path):
    recipe = Recipe("ce,destroy", epochs=1, batch_size=8)
    run = training(toy, recipe, tmp_path)
    before = {name: value.clone() for name, value in run.classifier._net.state_dict().items()}
    run.run({})
    assert same(before, dict(run.classifier._net.state_dict()))
    assert all(parameter.grad is None for parameter in run.classifier._net.parameters())


def test_distillation_imitates_the_maps_of_a_teacher_and_asks_nothing_of_the_classifier(toy, tmp_path, monkeypatch):
    more = ["--loss", "distil", "--regulariser", "", "--distil-maps", str(tmp_path / "maps"), "--no-residual"]
    assert main(arguments(toy, tmp_path / "out", *more)) == 2
    monkeypatch.setattr(Training, "answers", None)
    taught = [*more, "--teacher", "cam", "--epochs", "30", "--lr", "0.01"]
    assert main(arguments(toy, tmp_path / "out", *taught)) == 0
    log = pd.read_csv(tmp_path / "out" / "log.csv")
    assert log.distil.iloc[-1] < 0.3 * log.distil.iloc[0]
    classifier = load_classifier(toy[0])
    stored = np.load(tmp_path / "maps" / "a" / "0.npy")
    assert stored.shape == (8, 8)
    image = load_image(loaded(toy).samples[0], "resize-crop", 32, "bilinear")
    cam = torch.einsum("k,kij->ij", classifier.linear[0][0], classifier.features(image[None])[0])
    np.testing.assert_allclose(stored, cam, rtol=1e-4)


def test_a_checkpoint_is_a_start_for_another_training(toy, tmp_path, capsys):
    assert main(arguments(toy, tmp_path / "first", "--epochs", "1")) == 0
    start = tmp_path / "first" / "decoder.safetensors"
    more = ["--init", str(start), "--epochs", "1", "--lr", "1e-12"]
    assert main(arguments(toy, tmp_path / "second", *more)) == 0
    one, other = tensors(start), tensors(tmp_path / "second" / "decoder.safetensors")
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=1e-9)
    assert main(arguments(toy, tmp_path / "third", *more, "--width", "32")) == 2
    assert "is of another shape: width 16" in capsys.readouterr().err


def test_the_discriminator_learns_to_tell_masked_images_from_real_ones():
    torch.manual_seed(0)
    adversary, real = Adversary(torch.device("cpu"), lr=2e-3), photo(8)
    masked = real * torch.linspace(0, 1, 32).round()
    losses = [adversary.learn(real, masked) for _ in range(60)]
    assert losses[-1] < 0.5 * losses[0]
    assert adversary.verdict(masked).mean() > adversary.verdict(real).mean()


def test_the_decoder_pays_for_what_looks_masked():
    torch.manual_seed(0)
    adversary, masked = Adversary(torch.device("cpu")), photo(2).requires_grad_()
    adversary.verdict(masked).sum().backward()
    assert masked.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in adversary.net.parameters())


def test_the_order_depends_on_seed_epoch_and_id_only(toy):
    dataset = loaded(toy)
    train, test = split(dataset)
    assert sorted(train + test) == list(range(40))
    first = batches(dataset, train, 8, seed=0, epoch=0)
    assert sorted(i for batch in first for _, i in batch) == train
    assert first == batches(dataset, train[::-1], 8, seed=0, epoch=0)
    others = [batches(dataset, train, 8, seed=seed, epoch=epoch) for seed, epoch in ((1, 0), (0, 1))]
    order = [[i for batch in epoch for _, i in batch] for epoch in (first, *others)]
    assert len({tuple(indices) for indices in order}) == 3


def test_pixels_are_those_of_protocol_clean_and_augmented_ones_differ_by_epoch(toy):
    dataset = loaded(toy)
    plain = Photographs(dataset, 32, "bilinear")
    expected = load_image(dataset.samples[3], "resize-crop", 32, "bilinear")
    assert torch.equal(plain[(0, 3)]["images"] / 255, expected)
    augmented = Photographs(dataset, 32, "bilinear", augment=crop_and_flip)
    first, again, later = (augmented[(epoch, 3)]["images"] for epoch in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, later)
    assert torch.equal(augmented[(-1, 3)]["images"] / 255, expected)


def test_cached_features_are_those_of_the_classifier(toy, tmp_path):
    run = training(toy, Recipe(), tmp_path)
    for conditioning, evidence in itertools.product(("cam", "gradient"), ("logit", "log-odds")):
        config = configure(run.classifier, ("features.0",), conditioning=conditioning, evidence=evidence)
        cache = cached(run.photographs, run.classifier, config, False, tmp_path / "cache")
        again = cached(run.photographs, run.classifier, config, False, tmp_path / "cache")
        item = cache(7)
        assert same(item, again(7))
        reading = read(run.classifier, config, item["images"][None] / 255)
        for i, maps in enumerate(reading.maps):
            torch.testing.assert_close(item[f"maps{i}"].float(), maps[0], rtol=2e-3, atol=1e-4)
        torch.testing.assert_close(item["logits"], reading.logits[0])
        assert item["targets"] == reading.targets[0]
        assert ("weights" in item) == (conditioning == "gradient")
        weights = restored({name: value[None] for name, value in item.items()}, config, run.classifier).weights
        torch.testing.assert_close(weights, reading.weights)
    assert len(list((tmp_path / "cache").iterdir())) == 3, "class rows follow from the logits, gradients are stored"


def test_broken_images_are_left_out(toy, tmp_path, capsys):
    for image in toy[1].rglob("*.png"):
        copy = tmp_path / "images" / image.relative_to(toy[1])
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(image.read_bytes() if image.stem != "4" else b"no image")
    for name, more in (("cached", []), ("augmented", ["--augment"])):
        out = tmp_path / name
        command = arguments((toy[0], tmp_path / "images"), out, "--epochs", "1", "--cache", str(tmp_path / "c"), *more)
        assert main(command) == 0
        assert (out / "decoder.safetensors").exists()


def test_learning_rate_rises_and_falls(toy, tmp_path):
    run = training(toy, Recipe(epochs=20, batch_size=8), tmp_path)
    rates = []
    for step in range(run.steps):
        run.progress.step = step
        rates.append(run.rate())
    warm = round(0.05 * run.steps)
    assert rates[warm] == max(rates) == 1
    assert all(np.diff(rates[:warm]) > 0)
    assert all(np.diff(rates[warm:]) < 0)
    assert 0 < rates[-1] < 0.01


def test_random_numbers_of_a_step_are_its_own(toy, tmp_path):
    run = training(toy, Recipe(background="noise"), tmp_path)
    batch = batch_of(run)
    first, again = run.prepared(batch), run.prepared(batch)
    run.progress.step = 1
    later = run.prepared(batch)
    for name in ("share", "background"):
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], later[name])
    assert sorted((5 * first["share"]).long().tolist()) == [0, 1, 2, 3, 4]  # one in each fifth of the curves


@pytest.mark.parametrize(
    ("more", "message"),
    [(["--loss", ""], "--loss is empty"), (["--loss", "distil"], "need each other"), (["--joint"], "add --target true"),
     (["--epochs", "0"], "must be at least 1"), (["--taps", "featurs.0"], "did you mean"),
     (["--loss", "distil", "--distil-maps", "x", "--augment"], "goes with neither --augment"),
     (["--init", "none.safetensors"], "no such decoder"), (["--limit", "1"], "training needs both kinds"),
     (["--regulariser", "size"], "unknown regulariser"), (["--data-root", "/nowhere"], "no such folder"),
     (["--stages", "-1"], "must be from 0 to 10"), (["--loss", "ce=inf"], "lower --lr or a weight")],
)  # fmt: skip
def test_what_cannot_be_trained_is_told_in_one_line(toy, tmp_path, capsys, more, message):
    try:
        code = main(arguments(toy, tmp_path, *more))
    except SystemExit as ended:  # argparse ends by itself
        code = ended.code
    assert code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.splitlines()[-1].startswith("error: ")


def test_true_classes_need_labels_that_the_classifier_has(toy, tmp_path, capsys):
    flat = (toy[0], toy[1] / "a")
    assert main(arguments(flat, tmp_path, "--target", "true")) == 2
    assert "must have a label below 2 for every image" in capsys.readouterr().err
