"""Opti-CAM against a slow restatement, with its own Adam and gradients by finite differences."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.classifier import Classifier
from bench.core.explainer import EXPLAINERS
from bench.core.metric import METRICS
from bench.core.protocols import PROTOCOLS
from bench.scoring.evaluate import ScoringContext, evaluate
from bench.scoring.normalise import normalise
from bench.scoring.sources import ExplainerSource, Item
from methods.opti_cam import mix, opti_cam
from tests.toys import SIZE, TOYS, photo, toy_classifier

KINDS = ("gap_linear", "deep_head", "signed_features", "tokens", "residual_bypass")
TARGETS = torch.tensor([0, 4, 6])
WILD = {"lr": 4.0, "steps": 40}
"""So long steps that the loss of some image rises between two checks."""


def mask(S: Tensor, normalisation: str) -> Tensor:
    up = F.interpolate(S[None, None], (SIZE, SIZE), mode="bilinear", align_corners=False)[0, 0]
    if normalisation == "min-max":
        return (up - up.min()) / (up.max() - up.min())
    return up / up.max() if normalisation == "max" else 0.5 * (torch.tanh(up / 2) + 1)


def loss_of(
    classifier: Classifier, A: Tensor, u: Tensor, image: Tensor, c: int, objective: str, normalisation: str
) -> Tensor:
    """What one image minimises, from the variables u (K,)."""
    S = sum(w * a for w, a in zip(u.exp() / u.exp().sum(), A, strict=True))
    logits = classifier.logits((image * mask(S, normalisation))[None])[0]  # type: ignore[arg-type]
    clean = classifier.logits(image[None])[0]
    best_other = max(value for i, value in enumerate(logits) if i != c)
    return {
        "plain": clean[c] - logits[c],
        "norm": (clean[c] - logits[c]).abs(),
        "margin": best_other - logits[c],
        "cross-entropy": logits.exp().sum().log() - logits[c],
    }[objective]


def slow_run(
    classifier: Classifier, images: Tensor, targets: Tensor, steps: int, lr: float, joint: bool, n_of: str = "min-max"
) -> tuple[Tensor, list[int]]:
    """Maps S and the steps at which they stopped; `joint` for the authors' rule on the sum over the images, `n_of` for
    the normalisation."""
    A = classifier.features(images).relu()
    n = len(images)
    u, first, second = torch.full(A.shape[:2], 0.5).double(), torch.zeros(A.shape[:2]), torch.zeros(A.shape[:2])
    kept, previous, stopped = u.clone(), [float("inf")] * n, [steps] * n
    for step in range(steps):
        u = u.detach().requires_grad_()
        losses = [loss_of(classifier, A[i], u[i], images[i], int(targets[i]), "plain", n_of) for i in range(n)]
        (gradient,) = torch.autograd.grad(sum(losses), u)  # type: ignore[arg-type]
        if step % (steps // 10) == 0:
            checked = [sum(losses).item()] * n if joint else [loss.item() for loss in losses]  # type: ignore[union-attr]
            for i in range(n):
                if stopped[i] == steps and checked[i] > previous[i]:
                    stopped[i] = step
                if joint or stopped[i] == steps:
                    kept[i] = u[i].detach() if stopped[i] >= step else kept[i]
            previous = checked
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        u = u - lr * (first / (1 - 0.9 ** (step + 1))) / ((second / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)
    final = torch.where((torch.tensor(stopped) == steps)[:, None], u.detach(), kept)
    return torch.stack([sum(w * a for w, a in zip(v.softmax(0), m)) for v, m in zip(final, A)]), stopped  # noqa: B905


def test_weights_sum_to_one() -> None:
    u = 5 * torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(mix(torch.ones(3, 8, 4, 4), u), torch.ones(3, 4, 4))


@pytest.mark.parametrize("kind", KINDS)
def test_first_map_is_the_mean_of_the_rectified_maps(kind: str) -> None:
    classifier, images = toy_classifier(kind), photo(3)
    expected = classifier.features(images).relu().mean(1)
    torch.testing.assert_close(opti_cam(classifier, images, TARGETS, steps=0), expected)


@pytest.mark.parametrize("normalisation", ["min-max", "max", "sigmoid"])
@pytest.mark.parametrize("objective", ["plain", "norm", "margin", "cross-entropy"])
def test_first_step_goes_by_the_learning_rate_down_the_finite_differences(objective: str, normalisation: str) -> None:
    """Adam's first step is lr · g / (|g| + 1e-8)."""
    classifier, images = toy_classifier("signed_features", dtype=torch.float64), photo(2).double()
    switches: Any = {"objective": objective, "normalisation": normalisation}
    maps = opti_cam(classifier, images, TARGETS[:2], steps=1, lr=0.3, init=-0.2, **switches)
    for i, A in enumerate(classifier.features(images).relu()):
        start, gradient = torch.full((len(A),), -0.2).double(), []
        for k in range(len(A)):
            nudge = torch.zeros(len(A)).double()
            nudge[k] = 1e-5
            up, down = (loss_of(classifier, A, start + s * nudge, images[i], int(TARGETS[i]), **switches)
                        for s in (1, -1))  # fmt: skip
            gradient.append((up - down) / 2e-5)
        g = torch.stack(gradient)
        assert g.abs().max() > 1e-4
        empty = (A.amax((1, 2)) == 0) & (normalisation != "sigmoid")  # g is rounding noise
        moved = start - 0.3 * (g / (g.abs() + 1e-8)).masked_fill(empty, 0)
        S = torch.einsum("k,khw->hw", moved.softmax(0), A)
        expected = S if normalisation == "min-max" else mask(S, normalisation)
        torch.testing.assert_close(maps[i], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_objective_rises(kind: str) -> None:
    classifier, images = toy_classifier(kind), photo(3)

    def kept_logit(maps: Tensor) -> Tensor:
        masks = torch.stack([mask(S, "min-max") for S in maps])[:, None]
        return classifier.logits(images * masks)[range(3), TARGETS]

    first, last = (kept_logit(opti_cam(classifier, images, TARGETS, steps=steps)) for steps in (0, 50))
    assert (last >= first - 1e-4).all()
    assert (last - first).sum() > 0.05


def test_early_stop_is_per_image_and_equals_the_slow_restatement() -> None:
    classifier, images = toy_classifier("deep_head", dtype=torch.float64), photo(3).double()
    slow, stopped = slow_run(classifier, images, TARGETS, steps=40, lr=4.0, joint=False)
    assert len(set(stopped)) > 1
    assert min(stopped) < 40
    together = opti_cam(classifier, images, TARGETS, **WILD)
    torch.testing.assert_close(together, slow, rtol=1e-5, atol=1e-7)
    alone = [opti_cam(classifier, images[i : i + 1], TARGETS[i : i + 1], **WILD) for i in range(3)]
    torch.testing.assert_close(torch.cat(alone), together)


def test_images_that_stopped_are_not_passed_any_more() -> None:
    classifier, images = toy_classifier("deep_head", dtype=torch.float64), photo(3).double()
    _, stopped = slow_run(classifier, images, TARGETS, steps=40, lr=4.0, joint=False)
    with classifier.tally() as tally:
        opti_cam(classifier, images, TARGETS, **WILD)
    assert tally.forward == 3 + sum(min(step + 1, 40) for step in stopped)
    with classifier.tally() as tally:
        opti_cam(classifier, images, TARGETS, early_stop=False, **WILD)
    assert (tally.forward, tally.backward) == (3 * 41, 3 * 40)


def test_legacy_couples_the_images_of_a_batch_as_the_authors_code_does() -> None:
    classifier, images = toy_classifier("deep_head", dtype=torch.float64), photo(3).double()
    slow, stopped = slow_run(classifier, images, TARGETS, steps=40, lr=4.0, joint=True)
    assert stopped[0] < 40
    together = opti_cam(classifier, images, TARGETS, legacy=True, **WILD)
    torch.testing.assert_close(together, slow, rtol=1e-5, atol=1e-7)
    alone = [opti_cam(classifier, images[i : i + 1], TARGETS[i : i + 1], legacy=True, **WILD) for i in range(3)]
    assert not torch.allclose(torch.cat(alone), together, rtol=1e-2)


def test_constant_maps_stay_finite_except_under_legacy() -> None:
    net: nn.Module = TOYS["gap_linear"]()
    net.features[-2].weight.data.zero_()  # type: ignore[index,union-attr]
    net.features[-2].bias.data.fill_(1.0)  # type: ignore[index,union-attr]
    classifier = Classifier(net, name="flat", layer="features[-1]", input_size=SIZE)
    expected = {"min-max": torch.ones(3, 8, 8), "max": torch.ones(3, SIZE, SIZE),
                "sigmoid": torch.full((3, SIZE, SIZE), 1.0).sigmoid()}  # fmt: skip
    for normalisation, value in expected.items():
        maps = opti_cam(classifier, photo(3), TARGETS, steps=10, normalisation=normalisation)  # type: ignore[arg-type]
        torch.testing.assert_close(maps, value)
    assert opti_cam(classifier, photo(3), TARGETS, steps=10, legacy=True).isnan().all()


@pytest.mark.parametrize("steps", [1, 9, 10, 25])
def test_any_number_of_steps_works(steps: int) -> None:
    """The authors' code needs at least 10."""
    assert opti_cam(toy_classifier(), photo(3), TARGETS, steps=steps).isfinite().all()


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("normalisation", ["max", "sigmoid"])
def test_the_mask_that_was_optimised_is_returned_and_scored_as_it_is(normalisation: Any, joint: bool) -> None:
    """Against the authors' loop in float64, whose result is n(up(S))."""
    classifier, images = toy_classifier("deep_head", dtype=torch.float64), photo(3).double()
    slow, _ = slow_run(classifier, images, TARGETS, 20, 0.1, joint, normalisation)
    masks = torch.stack([mask(S, normalisation) for S in slow])
    text = f"opti-cam(normalisation={normalisation},steps=20,legacy={str(joint).lower()})"
    source = ExplainerSource(EXPLAINERS.spec(text))
    drawn = opti_cam(classifier, images, TARGETS, **source.spec.params)
    torch.testing.assert_close(drawn, masks, rtol=1e-7, atol=1e-9)
    if normalisation == "sigmoid":
        assert drawn.min() > 0.49, "min-max would have made another mask of it"
    context = ScoringContext(classifier, PROTOCOLS["opticam-2024"].value, 0, 3)
    scored, kinds = normalise(drawn, SIZE, context.order(source))
    assert torch.equal(scored, drawn)
    assert kinds == ["", "", ""]
    with torch.no_grad():
        p = classifier.logits(images).softmax(1)[range(3), TARGETS]
        masked = classifier.logits(images * masks[:, None]).softmax(1)[range(3), TARGETS]
    items = [Item(str(c), str(c), image, c, None) for image, c in zip(images, TARGETS.tolist(), strict=True)]
    rows, _ = evaluate(context, source, items, classifier.logits(images).detach().log_softmax(1), [METRICS["AD"].value])
    expected = ((p - masked).clamp(min=0) / p).tolist()
    assert [row["AD"] for row in rows] == pytest.approx(expected, abs=1e-6)


def test_min_max_keeps_its_keys_and_the_others_get_new_ones_under_every_protocol() -> None:
    specs = {n: EXPLAINERS.spec(f"opti-cam(normalisation={n})") for n in ("min-max", "max", "sigmoid")}
    sources = {n: ExplainerSource(spec) for n, spec in specs.items()}
    fixed = "early_stop=true,init=0.5,legacy=false,lr=0.1"
    assert sources["min-max"].key("") == f"opti-cam({fixed},normalisation=min-max,objective=plain,steps=100) v1"
    assert sources["max"].key("") == f"opti-cam({fixed},normalisation=max,objective=plain,steps=100) v2"
    assert sources["sigmoid"].key("") == f"opti-cam({fixed},normalisation=sigmoid,objective=plain,steps=100) v2"
    assert [source.order for source in sources.values()] == ["up-then-min-max", "as-is", "as-is"]
    assert ExplainerSource(EXPLAINERS.spec("opti-cam")).order == "up-then-min-max"
