"""The split of a net, on toys whose answers are known on paper or by running the untouched net under hooks."""

from __future__ import annotations

import hashlib

import pytest
import torch
import torch.nn.functional as F
from captum.attr import GuidedBackprop
from torch import Tensor, nn

from bench.core.architecture import CLASSIFIERS, classifier
from bench.core.classifier import Classifier
from bench.core.errors import Skip, UsageError
from bench.core.net.hook_split import HookSplit
from bench.core.net.layers import Layout, resolve_layer
from tests.toys import CLASSES, MEAN, STD, TOYS, photo, toy_classifier

KINDS = sorted(TOYS)
NATIVE_TO_MAPS = {  # written out per toy, independently of Layout
    "tokens": lambda t: t[:, 1:].reshape(len(t), 4, 4, -1).permute(0, 3, 1, 2),
    "residual_bypass": lambda t: t.permute(0, 3, 1, 2),
}
PATHS = {
    "gap_linear": "features.4",
    "deep_head": "features.4",
    "signed_features": "features.3",
    "tokens": "blocks.1.norm1",
    "residual_bypass": "features.2.block.5",
    "branching": "features",
}


def normalised(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1).to(images.dtype) for values in (MEAN, STD))
    return (images - mean) / std


def maps_and_gradient(net: nn.Module, path: str, x: Tensor, target: int) -> tuple[Tensor, Tensor]:
    """A layer's output and the gradient of a logit with respect to it, by a hook on the untouched net."""
    kept = []

    def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    handle = net.get_submodule(path).register_forward_hook(hook)
    net(x.clone().requires_grad_())[:, target].sum().backward()
    handle.remove()
    return kept[0].detach(), kept[0].grad


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_the_untouched_nets_bit_by_bit(kind: str) -> None:
    expected = TOYS[kind]()(normalised(photo(3)))
    toy = toy_classifier(kind)
    assert torch.equal(toy.logits(photo(3)), expected)
    assert torch.equal(toy.head(*toy.trunk(photo(3))), expected)
    assert torch.equal(toy.module(photo(3)), expected)
    assert toy.traced == (kind != "branching")
    assert toy.layer == PATHS[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_of_maps_is_that_of_hooks_on_the_untouched_net(kind: str) -> None:
    images = photo(3).double()
    untouched = TOYS[kind]().double()
    maps, gradient = maps_and_gradient(untouched, PATHS[kind], normalised(images), target=2)
    to_maps = NATIVE_TO_MAPS.get(kind, lambda t: t)

    toy = toy_classifier(kind, dtype=torch.float64)
    A, rest = toy.trunk(images)
    A = A.detach().requires_grad_()
    (found,) = torch.autograd.grad(toy.head(A, rest)[:, 2].sum(), A)
    torch.testing.assert_close(A.detach(), to_maps(maps), rtol=0, atol=1e-6)  # the mean is stored in float32
    torch.testing.assert_close(found, to_maps(gradient), rtol=1e-5, atol=1e-7)
    assert found.abs().max() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_of_images_flows_through_trunk_and_head(kind: str) -> None:
    images = photo(2).double().requires_grad_()
    toy = toy_classifier(kind, dtype=torch.float64)
    (whole,) = torch.autograd.grad(toy.logits(images)[:, 1].sum(), images)
    (parts,) = torch.autograd.grad(toy.head(*toy.trunk(images))[:, 1].sum(), images)
    torch.testing.assert_close(whole, parts, rtol=1e-9, atol=1e-12)
    step = torch.zeros_like(images)
    step[0, 1, 13, 17] = 1e-6
    slope = (toy.logits(images + step) - toy.logits(images - step))[0, 1] / 2e-6
    assert slope.item() == pytest.approx(whole[0, 1, 13, 17].item(), rel=1e-3, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_the_rest_of_one_image_serves_many_masked_maps(kind: str) -> None:
    toy = toy_classifier(kind)
    A, rest = toy.trunk(photo(1))
    masked = A * torch.linspace(0, 1, 5).view(-1, 1, 1, 1)
    together = toy.head(masked, rest)
    apart = torch.cat([toy.head(masked[i : i + 1], rest) for i in range(5)])
    torch.testing.assert_close(together, apart, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(together[0], together[-1])


@pytest.mark.parametrize("kind", ["gap_linear", "tokens", "residual_bypass"])
def test_split_by_hooks_and_by_graph_agree(kind: str) -> None:
    toy = toy_classifier(kind, dtype=torch.float64)
    x = normalised(photo(3).double())
    layout = {"tokens": Layout("tokens", 1, 4), "residual_bypass": Layout("channels-last")}.get(
        kind, Layout("channels-first")
    )
    net = TOYS[kind]().double().requires_grad_(False)
    by_hooks = HookSplit(net, PATHS[kind], layout, calls=1)
    (A, rest), (B, others) = toy._split.trunk(x), by_hooks.trunk(x)
    assert torch.equal(A, B)
    changed = torch.randn(A.shape, dtype=A.dtype, generator=torch.Generator().manual_seed(0)).requires_grad_()
    first, second = toy.head(changed, rest), by_hooks.head(changed, others)
    assert torch.equal(first, second)
    gradients = [torch.autograd.grad(logits[:, 3].sum(), changed)[0] for logits in (first, second)]
    torch.testing.assert_close(*gradients)
    assert not net.get_submodule(PATHS[kind])._forward_hooks


def test_the_bypassed_residual_stays_with_the_image() -> None:
    toy = toy_classifier("residual_bypass")
    (A, rest), (_, other) = toy.trunk(photo(1)), toy.trunk(photo(1, seed=9))
    assert not torch.allclose(toy.head(A, rest), toy.head(A, other))


@pytest.mark.parametrize("kind", ["gap_linear", "residual_bypass", "tokens", "branching"])
def test_several_taps_in_one_pass(kind: str) -> None:
    layers = {
        "gap_linear": ["features[0]", "features[2]", "features[-1]"],
        "residual_bypass": ["features[0]", "features[1].block[5]", "features[-1]"],
        "tokens": ["patches", "blocks[0].norm1", "blocks[1]"],
        "branching": ["features[0]", "features[-1]"],
    }[kind]
    toy = toy_classifier(kind, dtype=torch.float64)
    images = photo(2).double().requires_grad_()
    with toy.tally() as tally:
        maps, logits = toy.taps(layers)(images)
    assert tally.forward == 2
    torch.testing.assert_close(logits, toy.logits(images))
    gradients = torch.autograd.grad(logits[:, 0].sum(), maps)
    for layer, found, gradient in zip(layers, maps, gradients, strict=True):
        path = resolve_layer(toy._net, layer)
        untouched = TOYS[kind]().double()
        for module in untouched.modules():
            module.inplace = False  # else the next ReLU overwrites what the hook saw
        native, native_gradient = maps_and_gradient(untouched, path, normalised(images.detach()), target=0)
        if native.ndim == 3:
            to_maps = lambda t: t[:, -16:].reshape(2, 4, 4, -1).permute(0, 3, 1, 2)  # noqa: E731
        else:
            to_maps = (lambda t: t.permute(0, 3, 1, 2)) if "block[" in layer else (lambda t: t)
        torch.testing.assert_close(gradient, to_maps(native_gradient), rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(found.detach(), to_maps(native), rtol=0, atol=1e-6)


class InPlace(nn.Module):
    """Everything that changes a tensor in place, behind the layer `conv`."""

    layer = "conv"

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 4, 4), nn.Linear(4, 3)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        y = x * 1
        x.mul_(1.5)
        x += 0.25
        x -= y
        F.elu(x, inplace=True)
        F.leaky_relu(x, 0.2, True)
        torch.relu_(x)
        z = self.act(y)  # y is changed as well
        x = x + y + z
        x.clamp_(max=3.0)
        return self.fc(x.mean((2, 3)))


def test_maps_are_safe_from_in_place_operations() -> None:
    torch.manual_seed(0)
    net = InPlace().eval()
    images = photo(2)
    maps, expected = net.conv(images).detach().clone(), net(images).detach()
    split = Classifier(net, name="in-place", layer="conv", input_size=32)
    A, rest = split.trunk(images)
    kept = A.clone()
    assert split.traced
    assert torch.equal(split.head(A, rest), expected)
    assert torch.equal(A, kept)
    assert torch.equal(A, maps)


class Hidden(nn.Module):
    """Control flow on data, inside one block."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x)) if x.abs().mean() > 0 else x


class WithHidden(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.hidden, self.last = nn.Conv2d(3, 4, 4, 4), Hidden(), nn.Conv2d(4, 4, 3)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.last(self.hidden(self.stem(x))).mean((2, 3)))


@pytest.mark.parametrize(
    ("layer", "traced"), [("last", True), ("hidden", True), ("stem", True), ("hidden.conv", False)]
)
def test_what_cannot_be_followed_becomes_one_step(layer: str, traced: bool) -> None:
    torch.manual_seed(0)
    net = WithHidden().eval()
    expected = net(photo(2)).detach()
    split = Classifier(net, name="hidden", layer=layer, input_size=32)
    assert split.traced == traced
    assert torch.equal(split.head(*split.trunk(photo(2))), expected)
    assert (split.linear is not None) == (layer == "last")


def test_a_layer_that_runs_twice_is_cut_after_its_last_run() -> None:
    class Twice(nn.Module):
        def __init__(self, branch: bool) -> None:
            super().__init__()
            self.conv, self.fc, self.branch = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 2), branch

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(self.conv(x).tanh())
            if self.branch and x.sum() > 1e9:
                x = x * 0
            return self.fc(x.mean((2, 3)))

    for branch in (False, True):
        torch.manual_seed(0)
        net = Twice(branch)
        maps = net.conv(net.conv(photo(2)).tanh()).detach()
        split = Classifier(net, name="twice", layer="conv", input_size=32)
        assert split.traced != branch
        assert torch.equal(split.features(photo(2)), maps)
        assert torch.allclose(split.head(maps * 0, split.trunk(photo(2))[1]), net.fc.bias)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("gap_linear", True), ("branching", True), ("deep_head", False), ("signed_features", False), ("tokens", False),
     ("residual_bypass", False)],
)  # fmt: skip
def test_linear_is_found_only_behind_global_average_pooling(kind: str, expected: bool) -> None:
    toy = toy_classifier(kind)
    assert (toy.linear is not None) == expected
    if toy.linear:
        weight, bias = toy.linear
        pooled = toy.features(photo(2)).mean((2, 3))
        torch.testing.assert_close(pooled @ weight.T + bias, toy.logits(photo(2)))


def test_linear_is_not_found_where_a_relu_stands_before_it() -> None:
    class LateRelu(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 4, 4), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.conv(x).relu().mean((2, 3)))

    assert Classifier(LateRelu(), name="late", layer="conv", input_size=32).linear is None


def test_relus_are_told_from_smooth_activations() -> None:
    found = {kind: toy_classifier(kind).relus for kind in KINDS}
    assert found == {**dict.fromkeys(KINDS, True), "tokens": False, "residual_bypass": False}


class GuidedRelu(torch.autograd.Function):
    @staticmethod
    def forward(context: object, x: Tensor) -> Tensor:
        context.save_for_backward(x)  # type: ignore[attr-defined]
        return x.clamp_min(0)

    @staticmethod
    def backward(context: object, gradient: Tensor) -> Tensor:
        (x,) = context.saved_tensors  # type: ignore[attr-defined]
        return gradient * (x > 0) * (gradient > 0)


def test_guided_module_gives_guided_backpropagation() -> None:
    class Reused(nn.Module):
        """One ReLU module called twice, a function and a ReLU6."""

        def __init__(self) -> None:
            super().__init__()
            self.convs = nn.ModuleList(nn.Conv2d(3, 3, 3, padding=1) for _ in range(4))
            self.fc, self.relu, self.relu6 = nn.Linear(3, 2), nn.ReLU(inplace=True), nn.ReLU6()

        def forward(self, x: Tensor) -> Tensor:
            x = self.relu(self.convs[1](self.relu(self.convs[0](x))))
            x = self.relu6(9 * self.convs[3](F.relu(self.convs[2](x))))
            return self.fc(x.mean((2, 3)))

    torch.manual_seed(0)
    net = Reused().double()
    for parameter in net.parameters():
        nn.init.uniform_(parameter, -0.3, 0.5)  # mostly positive, so that the guided gradient does not die out
    images = photo(2).double()
    a, b, c, d = net.convs
    x = images.clone().requires_grad_()
    relu = GuidedRelu.apply
    hidden = relu(9 * d(relu(c(relu(b(relu(a(x))))))))
    net.fc(hidden.clamp(max=6).mean((2, 3)))[:, 1].sum().backward()

    split = Classifier(net, name="reused", layer="convs[-1]", input_size=32, dtype=torch.float64)
    guided = split.guided_module()
    torch.testing.assert_close(guided(images), split.logits(images))
    assert sum(isinstance(module, nn.ReLU) for module in guided.modules()) == 4
    assert {p.data_ptr() for p in guided.parameters()} <= {p.data_ptr() for p in net.parameters()}
    found = GuidedBackprop(guided).attribute(images.clone().requires_grad_(), target=1)
    torch.testing.assert_close(found, x.grad)
    assert x.grad is not None
    assert x.grad.abs().max() > 0


def test_guided_module_skips_what_cannot_be_followed() -> None:
    with pytest.raises(Skip):
        toy_classifier("branching").guided_module()


def test_tap_sees_maps_and_gradient_as_libraries_expect() -> None:
    toy = toy_classifier("tokens")
    seen: list[Tensor] = []
    gradients: list[Tensor] = []

    def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
        seen.append(output)
        output.register_hook(gradients.append)

    handle = toy.module.tap.register_forward_hook(hook)
    toy.module(photo(2))[:, 0].sum().backward()
    handle.remove()
    A, rest = toy.trunk(photo(2))
    A = A.detach().requires_grad_()
    (expected,) = torch.autograd.grad(toy.head(A, rest)[:, 0].sum(), A)
    assert torch.equal(seen[0], A)
    torch.testing.assert_close(gradients[0], expected)
    assert next(toy.module.parameters()).dtype == torch.float32


def test_parameters_are_frozen_and_the_net_in_eval_mode() -> None:
    toy = toy_classifier("deep_head")
    assert not any(p.requires_grad for p in toy.module.parameters())
    assert not any(module.training for module in toy._net.modules())


@pytest.mark.parametrize("kind", ["gap_linear", "branching"])
def test_tally_counts_images(kind: str) -> None:
    toy = toy_classifier(kind)
    with toy.tally() as tally:
        logits = toy.logits(photo(3).requires_grad_())
        torch.autograd.grad(logits[:, 0].sum(), logits, retain_graph=True)
        A, rest = toy.trunk(photo(2))
        toy.head(A.repeat(4, 1, 1, 1), [tensor.repeat(4, 1, 1, 1) for tensor in rest])
        toy.module(photo(1))
        with toy.tally() as inner:
            toy.features(photo(5 - 1))
        images = photo(2).requires_grad_()
        toy.logits(images).sum().backward()
    toy.logits(photo(4))
    assert (tally.forward, tally.backward, tally.head) == (3 + 2 + 1 + 2, 3 + 2, 8)
    assert (inner.forward, inner.backward, inner.head) == (4, 0, 0)


@pytest.mark.parametrize("kind", ["gap_linear", "branching"])
def test_randomised_draws_the_last_layer_anew_and_restores_it(kind: str) -> None:
    toy = toy_classifier(kind)
    images, before = photo(2), {k: v.clone() for k, v in toy._net.state_dict().items()}
    A, expected = toy.features(images), toy.logits(images)

    def in_block(seed: int) -> Tensor:
        with toy.randomised(seed):
            assert torch.equal(toy.features(images), A)
            assert 0.5 < (toy._net.fc.weight.std() / before["fc.weight"].std()) < 2
            return toy.logits(images)

    assert torch.equal(in_block(1), in_block(1))
    assert not torch.allclose(in_block(1), in_block(2))
    with pytest.raises(RuntimeError, match="inside"), toy.randomised(3):
        raise RuntimeError("inside")
    assert torch.equal(toy.logits(images), expected)
    assert all(torch.equal(v, before[k]) for k, v in toy._net.state_dict().items())


def test_digest_is_of_names_shapes_dtypes_and_bytes() -> None:
    slow = hashlib.sha256()
    for name, tensor in TOYS["gap_linear"]().state_dict().items():
        slow.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode() + tensor.numpy().tobytes())
    toy = toy_classifier("gap_linear")
    assert toy.digest == slow.hexdigest()
    assert toy.digest == toy_classifier("gap_linear", layer="features[2]", dtype=torch.float64).digest
    assert toy.digest != toy_classifier("gap_linear", seed=1).digest


def test_errors_name_the_layer_and_near_ones() -> None:
    with pytest.raises(UsageError, match=r"no layer 'featurs' .*'features'"):
        toy_classifier("gap_linear", layer="featurs")
    with pytest.raises(UsageError, match=r"no layer 'features\[-9\]'"):
        toy_classifier("gap_linear", layer="features[-9]")
    with pytest.raises(UsageError, match=r"'fc' gives \(2, 7\), not maps"):
        toy_classifier("gap_linear", layer="fc")
    with pytest.raises(UsageError, match="names no layer"):
        toy_classifier("gap_linear", layer=".")


def test_a_net_that_returns_no_logits_is_refused() -> None:
    with pytest.raises(UsageError, match=r"gives \(3, 4, 30, 30\) .* it must give logits"):
        Classifier(nn.Sequential(nn.Conv2d(3, 4, 3)), name="maps", layer="0", input_size=32)
    with pytest.raises(UsageError, match="7 classes but 2 class names"):
        Classifier(TOYS["gap_linear"](), name="x", layer="features", input_size=32, classes=["a", "b"])


def test_a_layer_past_which_nothing_reads_or_that_never_runs_is_refused() -> None:
    class Aside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.unused, self.aside = nn.Conv2d(3, 4, 4, 4), nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
            self.fc = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            self.aside(x)
            return self.fc(self.conv(x).mean((2, 3)))

    with pytest.raises(UsageError, match="'unused' does not run"):
        Classifier(Aside(), name="aside", layer="unused", input_size=32)
    with pytest.raises(UsageError, match="do not depend on layer 'aside'"):
        Classifier(Aside(), name="aside", layer="aside", input_size=32)


def test_without_a_layer_the_last_maps_are_taken() -> None:
    toy = Classifier(TOYS["deep_head"](), name="deep", input_size=32)
    assert toy.layer == "features"
    assert toy.classes == tuple(map(str, range(CLASSES)))


def test_shapes_that_tell_channels_last_from_first() -> None:
    conv, linear = nn.Conv2d(3, 3, 1), nn.Linear(3, 3)
    assert Layout.of(torch.zeros(1, 7, 7, 9), conv, "x", 56).kind == "channels-last"
    assert Layout.of(torch.zeros(1, 9, 7, 7), conv, "x", 56).kind == "channels-first"
    assert Layout.of(torch.zeros(1, 7, 7, 7), conv, "x", 56).kind == "channels-first"
    assert Layout.of(torch.zeros(1, 7, 7, 7), linear, "x", 56).kind == "channels-last"
    for tokens, prefix in ((196, 0), (197, 1), (198, 2), (201, 5), (50, 1)):
        assert Layout.of(torch.zeros(1, tokens, 8), conv, "x", 224).prefix == prefix


def test_a_registered_function_becomes_a_classifier() -> None:
    @classifier("toy-registered", layer="features", input_size=32, mean=MEAN, std=STD, classes=tuple("abcdefg"))
    def build() -> nn.Module:
        return TOYS["gap_linear"]()

    architecture = CLASSIFIERS["toy-registered"].value()
    assert isinstance(architecture.build(), nn.Module)
    assert (architecture.layer, architecture.input_size, architecture.classes[1]) == ("features", 32, "b")
    CLASSIFIERS._entries.pop("toy-registered")
