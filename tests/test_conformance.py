"""What every explainer must hold, registered by us or by a plug-in, on every kind of classifier."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import methods  # noqa: F401
from bench.classifiers.load import load_classifier
from bench.core.classifier import Classifier
from bench.core.errors import Skip
from bench.core.explainer import EXPLAINERS
from tests.toys import CLASSES, SIZE, photo, toy_classifier

EXPLAINERS.load_entry_points()
NAMES = [entry.name for entry in EXPLAINERS]
KINDS = ("gap_linear", "deep_head", "signed_features", "tokens", "residual_bypass")
SMALL = {"steps": 4, "samples": 3, "window": 0.5, "stride": 0.25}
"""Values for parameters of these names, whoever has them, that keep the suite short."""

N = 3
TARGETS = torch.tensor([0, 4, 6])
SEEDS = torch.tensor([11, 12, 2**62])


class Injected(RuntimeError):
    """What the broken net raises."""


@cache
def classifier_of(kind: str) -> Classifier:
    return toy_classifier(kind)


@cache
def embedded() -> Classifier:
    return load_classifier("efficientnet_lite0")


def parameters(name: str, **given: Any) -> dict[str, Any]:
    return {key: value for key, value in {**SMALL, **given}.items() if key in EXPLAINERS[name].parameters}


def draw(
    name: str, classifier: Classifier, images: Tensor, targets: Tensor = TARGETS, seeds: Tensor = SEEDS, **given: Any
) -> Tensor:
    explainer = EXPLAINERS[name].value
    if reason := explainer.skip(classifier):
        pytest.skip(reason)
    extra = {"seeds": seeds} if explainer.seeded else {}
    try:
        return explainer.function(classifier, images, targets, **parameters(name, **given), **extra)
    except Skip as skip:
        pytest.skip(str(skip))


def fingerprint(classifier: Classifier) -> list[Any]:
    """Everything about the classifier's modules that an explainer could leave changed."""
    state: list[Any] = []
    for module in {id(m): m for root in (classifier.module, classifier._net) for m in root.modules()}.values():
        hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
        state.append((id(module), module.training, *map(len, hooks), [id(child) for child in module.children()]))
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            state.append((id(tensor), tensor.requires_grad, tensor.grad is None, tensor.clone().numpy().tobytes()))
    return state


on_every = pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in NAMES for kind in KINDS])
each = pytest.mark.parametrize("name", NAMES)


@on_every
def test_maps_are_finite_repeatable_and_independent_of_the_batch(name: str, kind: str) -> None:
    classifier, images = classifier_of(kind), photo(N)
    maps = draw(name, classifier, images)
    assert maps.ndim == 3
    assert len(maps) == N
    assert maps.is_floating_point()
    assert not maps.requires_grad
    assert maps.isfinite().all()
    assert torch.equal(maps, draw(name, classifier, images))

    scale = maps.abs().amax((1, 2), keepdim=True).clamp_min(1e-12)
    alone = [draw(name, classifier, images[i : i + 1], TARGETS[i : i + 1], SEEDS[i : i + 1]) for i in range(N)]
    backwards = draw(name, classifier, images.flip(0), TARGETS.flip(0), SEEDS.flip(0)).flip(0)
    for other in (torch.cat(alone), backwards):
        assert other.shape == maps.shape
        torch.testing.assert_close(other / scale, maps / scale, rtol=1e-4, atol=1e-4)


@on_every
def test_classifier_images_and_random_state_stay_as_they_were(name: str, kind: str) -> None:
    classifier, images, targets, seeds = classifier_of(kind), photo(N), TARGETS.clone(), SEEDS.clone()
    before, random_state = fingerprint(classifier), torch.get_rng_state()
    draw(name, classifier, images, targets, seeds)
    assert fingerprint(classifier) == before
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.equal(images, photo(N))
    assert not images.requires_grad
    assert images.grad is None
    assert torch.equal(targets, TARGETS)
    assert torch.equal(seeds, SEEDS)


@on_every
@pytest.mark.parametrize("call", [1, 3])
def test_classifier_stays_as_it_was_when_it_raises(name: str, kind: str, call: int) -> None:
    """The last linear layer raises the first or the third time it runs."""
    classifier, images, calls = classifier_of(kind), photo(N), []
    before = fingerprint(classifier)

    def fail(module: nn.Module, inputs: Any) -> None:
        calls.append(module)
        if len(calls) == call:
            raise Injected

    last = [module for module in classifier._net.modules() if isinstance(module, nn.Linear)][-1]
    handle = last.register_forward_pre_hook(fail)
    try:
        draw(name, classifier, images)
    except Injected:
        pass
    finally:
        handle.remove()
    assert fingerprint(classifier) == before
    assert torch.equal(images, photo(N))
    assert not images.requires_grad


@each
def test_failures_of_the_net_are_not_swallowed(name: str) -> None:
    """An IndexError too, which pytorch-grad-cam's own context manager prints and forgets."""
    classifier = toy_classifier("gap_linear")
    with classifier.tally() as tally:
        draw(name, classifier, photo(N))
    if not tally.forward:
        pytest.skip("asks nothing of the classifier")

    def fail(module: nn.Module, inputs: Any) -> None:
        raise IndexError("injected")

    first = next(module for module in classifier._net.modules() if isinstance(module, nn.Conv2d))
    first.register_forward_pre_hook(fail)
    with pytest.raises(IndexError, match="injected"):
        draw(name, classifier, photo(N))


@each
@pytest.mark.parametrize("wrong", [-1, CLASSES])
def test_wrong_class_raises_unless_the_class_plays_no_part(name: str, wrong: int) -> None:
    classifier, images = classifier_of("gap_linear"), photo(N)
    zeros, ones = torch.zeros(N, dtype=torch.int64), torch.ones(N, dtype=torch.int64)
    if torch.equal(draw(name, classifier, images, zeros), draw(name, classifier, images, ones)):
        return
    with pytest.raises(Exception, match=str(wrong)):
        draw(name, classifier, images, torch.tensor([0, wrong, 1]))


@on_every
def test_passes_are_as_declared(name: str, kind: str) -> None:
    """A run of the head alone counts as a pass where torch.fx cannot cut the net, else it is not declared."""
    classifier = classifier_of(kind)
    with classifier.tally() as tally:
        draw(name, classifier, photo(N), early_stop=False)
    params = EXPLAINERS.spec(name).params | parameters(name, early_stop=False)
    declared = EXPLAINERS[name].value.cost(classifier, **params)
    heads = 0 if classifier.traced else tally.head
    assert (declared.forward * N, declared.backward * N) == (tally.forward + heads, tally.backward)


@each
def test_says_of_the_embedded_network_what_it_costs_or_why_it_skips(name: str) -> None:
    """Without running, as its card and `--list` do."""
    classifier = embedded()
    assert EXPLAINERS[name].value.skip(classifier) or EXPLAINERS[name].value.cost(classifier).total >= 0


@each
def test_works_on_a_net_that_cannot_be_traced(name: str) -> None:
    classifier = classifier_of("branching")
    traced = classifier_of("gap_linear")
    test_passes_are_as_declared(name, "branching")
    torch.testing.assert_close(draw(name, classifier, photo(N)), draw(name, traced, photo(N)), rtol=1e-3, atol=1e-4)


@each
def test_maps_have_the_resolution_of_the_layer_or_of_a_grid_no_finer_than_the_image(name: str) -> None:
    height, width = draw(name, classifier_of("gap_linear"), photo(N)).shape[1:]
    assert 1 <= height <= SIZE
    assert 1 <= width <= SIZE


@pytest.mark.parametrize("name", [name for name in NAMES if EXPLAINERS[name].value.blind])
def test_a_blind_explainer_draws_one_map_for_all_images_and_asks_no_classifier(name):
    maps = EXPLAINERS[name].value.function(None, photo(2), TARGETS[:2], **parameters(name))
    blank = EXPLAINERS[name].value.function(None, torch.zeros(1, 3, SIZE, SIZE), TARGETS[1:2], **parameters(name))
    assert torch.equal(maps, blank.expand_as(maps))
