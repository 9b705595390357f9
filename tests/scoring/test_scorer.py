"""The scorer: what it answers, and what it holds and waits for meanwhile."""

from __future__ import annotations

import dataclasses
import weakref
from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import methods  # noqa: F401 - registers
import metrics  # noqa: F401 - registers
from bench.core import perturb
from bench.core.explainer import EXPLAINERS
from bench.core.metric import METRICS, Case
from bench.core.protocols import protocol
from bench.scoring.evaluate import ScoringContext, evaluate
from bench.scoring.scorer import Scorer
from bench.scoring.sources import ExplainerSource, Item
from metrics import curves
from tests.toys import SIZE, photo, toy_classifier

WAYS = [METRICS[name].value.derive for name in ("AD", "I", "D")]


def case(steps: int, seed: int = 0) -> Case:
    classifier = toy_classifier()
    saliency = torch.rand(SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
    chosen = protocol(f"clean+steps={steps}")
    return Case(photo(1)[0], saliency, saliency, 1, None, chosen, classifier.mean, seed)


def derived(steps: int, images: int = 1):
    for seed in range(images):
        subject = case(steps, seed)
        for derive in WAYS:
            yield from derive(subject)


class Watch(TorchDispatchMode):
    """Bytes of the image-sized tensors alive, and the operations called."""

    def __init__(self):
        super().__init__()
        self.alive: Counter[int] = Counter()
        self.size: dict[int, int] = {}
        self.peak = 0
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        self.calls[function.__name__.partition(".")[0]] += 1
        for tensor in found if isinstance(found, tuple | list) else (found,):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage().nbytes() >= SIZE * SIZE * 3:
                place = tensor.untyped_storage().data_ptr()
                self.alive[place] += 1
                self.size[place] = tensor.untyped_storage().nbytes()
                weakref.finalize(tensor, self.forget, place)
        self.peak = max(self.peak, sum(self.size[place] for place, count in self.alive.items() if count > 0))
        return found

    def forget(self, place: int) -> None:
        self.alive[place] -= 1


def watched(steps: int, images: int = 1) -> tuple[Watch, torch.Tensor]:
    scorer = Scorer(toy_classifier(), 4)
    scorer.classifier.score(scorer.buffer)
    with Watch() as watch:
        scores = scorer.score(derived(steps, images))
    return watch, scores


def test_memory_does_not_grow_with_steps_or_images():
    few, scores = watched(8)
    assert len(scores) == 15
    assert few.peak >= 4 * 3 * SIZE * SIZE * 4  # what is counted holds a batch at least
    for steps, images in ((64, 1), (8, 6)):
        many, scores = watched(steps, images)
        assert len(scores) == images * (1 + 2 * (steps - 1))
        assert many.peak <= 1.05 * few.peak


def test_nothing_waits_for_the_device_mask_by_mask():
    """Reading a value (`item`) is what makes the host wait, and so does a copy from the host for every mask."""
    few, many = watched(4)[0].calls, watched(64)[0].calls
    assert few["_local_scalar_dense"] == many["_local_scalar_dense"] == 0
    assert few["_to_copy"] == many["_to_copy"]


@pytest.mark.parametrize("sizes", [[11], [1] * 11, [3, 0, 5, 3], [4, 4, 3], [2, 9]])
def test_however_the_stream_is_cut_the_batches_are_the_same(sizes):
    classifier, images = toy_classifier("deep_head"), photo(11)
    padded = torch.cat([images, images[-1:]])
    expected = torch.cat([classifier.score(batch) for batch in padded.split(4)])[:11].double().log_softmax(1)
    assert torch.equal(Scorer(classifier, 4).score(images.split(sizes)), expected.detach())


@pytest.mark.parametrize("steps", [1, 3, 8, 28])
@pytest.mark.parametrize("block", [1, 4, 100])
def test_curves_are_the_plain_loop_however_many_steps_are_made_at_a_time(steps, block, monkeypatch):
    monkeypatch.setattr(curves, "BLOCK", block)
    subject = case(steps)
    start, ranks, size = subject.filled("blur-11-5"), subject.ranks, SIZE * SIZE
    first = subject.image[None]
    plain = [torch.where(ranks < round(k * size / steps), subject.image, start)[None] for k in range(1, steps)]
    assert torch.equal(torch.cat([first, *curves.insertion_steps(subject)]), torch.cat([first, *plain]))
    plain = [torch.where(ranks < round(k * size / steps), 0.0, subject.image)[None] for k in range(1, steps)]
    assert torch.equal(torch.cat([first, *curves.deletion_steps(subject)]), torch.cat([first, *plain]))


def test_half_pixels_round_to_even_as_in_python():
    subject = case(2048)  # 1024 pixels: every other step ends on a half
    changed = [int((image == subject.image).all(0).sum()) for image in torch.cat(list(curves.insertion_steps(subject)))]
    assert changed[:8] == [round(k / 2) for k in range(1, 9)]


def test_an_image_is_blurred_once_for_all_maps_and_metrics(monkeypatch):
    blurred, blur = [], perturb.blur
    monkeypatch.setattr(perturb, "blur", lambda image, *rest: (blurred.append(image), blur(image, *rest))[1])
    net, images = toy_classifier(), photo(3)
    items = [Item(str(i), str(i), image, None, None) for i, image in enumerate(images)]
    context = ScoringContext(net, protocol("clean+steps=3"), 0, 3)
    chosen = [METRICS[name].value for name in ("AD", "I", "D")]
    clean = Scorer(net, 3).score([images])
    for text in ("grad-cam", "layer-cam"):
        evaluate(context, ExplainerSource(EXPLAINERS.spec(text)), items, clean, chosen)
    assert [id(image) for image in blurred] == [id(item.image) for item in items]
    assert items[0].fills
    assert not dataclasses.replace(items[0], image=images[1]).fills
