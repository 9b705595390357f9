"""The contract of a classifier: trunk and head, images in [0, 1], everything frozen."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from bench.core.errors import FOREIGN_ERRORS, Skip, UsageError
from bench.core.net.attention import Attention, AttentionRecorder, attention_of
from bench.core.net.counting import Meter, Tally
from bench.core.net.examine import alike, examine, probe_images, refuse_real_interrupt, refuse_unusable
from bench.core.net.folding import folded
from bench.core.net.graph_split import GraphSplit, Traced, Untraceable, operation
from bench.core.net.hook_split import HookSplit, observe, run_tapped
from bench.core.net.layers import hooked, last_map_layer, resolve_layer, stated_prefix
from bench.core.net.modules import LogitsModule, TappedModule
from bench.core.net.precision import Precision
from bench.core.net.sharing import TrunkSharing
from bench.core.output import read_output

RECTIFIERS = frozenset({"relu", "relu6"})
OTHER_ACTIVATIONS = frozenset(
    ("gelu", "quickgelu", "gelutanh", "silu", "swish", "mish", "hardswish", "hardmish", "elu", "selu", "celu", "prelu")
    + ("leakyrelu", "leaky_relu", "rrelu", "softplus", "hard_swish")
)

LUMA = (0.299, 0.587, 0.114)


class Classifier:
    """A frozen net in eval mode, split at one layer: `logits(x) == head(*trunk(x))`.

    Images are (B, 3, S, S) in [0, 1]; normalisation lives inside. `trunk` gives the layer's maps A
    (B, K, h, w), signed, channels first, and every other tensor that crosses the cut; `head` takes both back. All of it
    is differentiable with respect to images and A.

    Raises UsageError when the layer is unknown, gives no maps, or when the split does not reproduce the net.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        name: str,
        layer: str | None = None,
        input_size: int = 224,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
        interpolation: str = "bilinear",
        crop_pct: float | None = None,
        classes: Sequence[str] = (),
        origin: str = "",
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        output: str | None = None,
        prefix_tokens: int | None = None,
        source: str = "",
        usual: str | None = None,
    ):
        refuse_unusable(net, name)
        self.name, self.origin, self.source = name, origin, source
        self.input_size, self.interpolation, self.crop_pct = input_size, interpolation, crop_pct
        self.device, self.dtype = torch.device(device), dtype
        self.precision = Precision(dtype)
        self.digest = state_digest(net)
        self._net = net.eval().requires_grad_(False).to(self.device, dtype)
        self.channels = self._input_channels(len(mean))
        if self.channels == 1 and len(set(mean)) == len(set(std)) == 1:
            mean, std = mean[:1], std[:1]
        if len(mean) != len(std) or len(mean) not in (self.channels, 1):
            raise UsageError(
                f"{name} takes {self.channels} channel(s), but {len(mean)} means and {len(std)} stds are stated"
            )
        self.mean, self.std = (
            torch.tensor(values, dtype=torch.float32).expand(3 if len(values) == 1 else -1) for values in (mean, std)
        )
        self._shift = self.mean[: self.channels].to(self.device, dtype).view(-1, 1, 1)
        self._scale = self.std[: self.channels].to(self.device, dtype).view(-1, 1, 1)
        self.prefix_tokens = stated_prefix(net) if prefix_tokens is None else prefix_tokens
        self._meter = Meter()
        self._sharing = TrunkSharing(self._pass_trunk)

        answers = examine(net, name, self._normalise(probe_images(input_size).to(self.device)))
        self.output = read_output(output, answers, name)
        example = self._example(seed=0)
        self.layer = resolve_layer(net, layer) if layer else last_map_layer(net, example)
        self.usual = self.layer if layer is None else resolve_layer(net, usual) if usual is not None else None
        """The layer that its architecture names, where it names one."""
        with _running(net, (nn.Linear, nn.Conv2d)) as ran:
            (by_hooks,), (maps,), logits = observe(net, [self.layer], example, self.prefix_tokens)
        if not ran:
            raise UsageError(f"{name} must map images to logits (B, C) by linear or convolutional layers")
        self.parametric = tuple(reversed(dict.fromkeys(reversed(ran))))
        """The linear and convolutional layers in the order in which they run, the last one the head's."""
        self.num_classes = self.output.logits(answers).shape[1]
        self.stated_classes = bool(classes)
        self.classes = tuple(classes) or tuple(map(str, range(self.num_classes)))
        if len(self.classes) != self.num_classes:
            raise UsageError(f"{name} has {self.num_classes} classes but {len(self.classes)} class names are stated")
        self._traced = _trace(net, example)
        self.relus = _only_rectifiers(net, self._traced)
        self._cuts: dict[str, Classifier] = {}
        self._cut(by_hooks, example, maps, logits)

    def _cut(self, by_hooks: HookSplit, example: Tensor, maps: Tensor, logits: Tensor) -> None:
        """Split at `layer`, whose maps for the example are known."""
        self._split = self._best_split(by_hooks, example, maps, logits)
        self._check_gradients(example)
        self.linear = self._find_linear(maps)
        self.module = self._as_module()

    def cut_at(self, layer: str) -> Classifier:
        """The same classifier, net, parameters and counters shared, split at another layer; the first call examines
        it. Raises UsageError for a layer that is unknown or at which the net cannot be split."""
        path = resolve_layer(self._net, layer)
        if path == self.layer:
            return self
        if path not in self._cuts:
            twin, example = copy.copy(self), self._example(seed=0)
            twin.layer, twin._cuts = path, {}
            twin._sharing = TrunkSharing(twin._pass_trunk)
            (by_hooks,), (maps,), logits = observe(self._net, [path], example, self.prefix_tokens)
            twin._cut(by_hooks, example, maps, logits)
            twin._forget("_scoring_net", "exact")
            self._cuts[path] = twin
        return self._cuts[path]

    @property
    def usual_layer(self) -> bool:
        """Whether it is explained at the layer that its architecture names."""
        return self.layer == self.usual

    def __repr__(self) -> str:
        """What was understood of the net, in one line, for the user to check."""
        names = ", ".join(self.classes[:4]) + (", …" if self.num_classes > 4 else "")
        return (
            f"{self.name}: layer {self.layer}, input {self.channels} × {self.input_size} × {self.input_size}, "
            f"normalisation {self.normalisation}, {self.interpolation}, output {self.output.name}, "
            f"{self.num_classes} classes ({names if self.stated_classes else 'no names stated'})"
        )

    @property
    def normalisation(self) -> str:
        """The normalisation in force, in words."""
        if not self.mean.any() and (self.std == 1).all():
            return "none stated: images enter as [0, 1]"
        mean, std = (", ".join(f"{x:.4g}" for x in v[: self.channels].tolist()) for v in (self.mean, self.std))
        return f"mean {mean}; std {std}"

    @property
    def key(self) -> tuple[str, ...]:
        """What content keys need to know besides name, weights and normalisation; nothing for most nets."""
        output = (f"output {self.output.name}",) if self.output.name != "logits" else ()
        return output + ((f"source {self.source}",) if self.source else ())

    @property
    def net(self) -> nn.Module:
        """The network itself, normalised images to its own outputs; to be read, not changed, by an explainer."""
        return self._net

    @property
    def parameters(self) -> int:
        """Number of the net's parameters."""
        return sum(parameter.numel() for parameter in self._net.parameters())

    @property
    def traced(self) -> bool:
        """Whether the split is by graph; else a head costs a whole pass."""
        return isinstance(self._split, GraphSplit)

    def trunk(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Images (B, 3, S, S) to maps A (B, K, h, w) and the rest."""
        return self._sharing(images)

    def _pass_trunk(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        return self._split.trunk(self._enter(images))

    def head(self, A: Tensor, rest: Sequence[Tensor]) -> Tensor:
        """Maps (B, K, h, w) and the rest, of B images or of one for all rows, to logits (B, C)."""
        return self._leave(self._split.head(self._meter.head(A), rest))

    def logits(self, images: Tensor) -> Tensor:
        """Images (B, 3, S, S) to logits (B, C)."""
        return self._leave(self._split(self._enter(images)))

    def run(self, images: Tensor) -> Tensor:
        """`logits`, by the net's own modules, so that hooks on them are called."""
        return self._leave(self._net(self._enter(images)))

    def score(self, images: Tensor) -> Tensor:
        """Images (B, 3, S, S) to logits (B, C), for scoring without gradients: `logits` with every batch normalisation
        folded into its convolution, equal to it up to float rounding (checked when first used, else `logits` serves),
        at `precision`.
        """
        return self.output.logits(self._scoring_net(self.precision.convert(self._enter(images))))

    def at(self, precision: Precision) -> Classifier:
        """The same classifier, nets and parameters shared, whose `score` computes at `precision`."""
        twin = copy.copy(self)
        twin.precision = precision
        twin._meter, twin._sharing = Meter(), TrunkSharing(twin._pass_trunk)
        twin._cuts = {}
        twin.module = twin._as_module()
        twin._forget("_scoring_net", "exact")
        return twin

    def _forget(self, *cached: str) -> None:
        for name in cached:
            self.__dict__.pop(name, None)

    @property
    def scoring_key(self) -> tuple[str, ...]:
        """What content keys need to know of a precision that is not the net's own; nothing when it is."""
        return () if self.precision == Precision(self.dtype) else (str(self.precision),)

    @cached_property
    def exact(self) -> Classifier:
        """The same classifier, whose `score` computes at the net's own precision."""
        return self.at(Precision(self.dtype)) if self.scoring_key else self

    @cached_property
    def _scoring_net(self) -> nn.Module:
        with torch.inference_mode(False), torch.no_grad():  # the first to score may be in inference mode, others not
            net = self._without_norms()
            return self.precision.recast(net, self.parametric[-1]) if self.scoring_key else net

    def _without_norms(self) -> nn.Module:
        if self._traced is None:
            return self._split
        net, example = folded(self._net, self._traced.graph), self._example(seed=2)
        return net if alike(net(example), self._split(example)) else self._split

    def features(self, images: Tensor) -> Tensor:
        """The maps A (B, K, h, w) alone."""
        return self.trunk(images)[0]

    def taps(self, layers: Sequence[str]) -> Callable[[Tensor], tuple[list[Tensor], Tensor]]:
        """A function from images to ([maps (B, K_i, h_i, w_i) of each layer], logits), in one pass.

        The logits are computed from those very maps: `torch.autograd.grad(logits…, maps)` works where the images
        require a gradient. Raises UsageError for an unknown layer.
        """
        example = self._example(seed=0, batch=1)
        paths = [resolve_layer(self._net, layer) for layer in layers]
        splits, expected, _ = observe(self._net, paths, example, self.prefix_tokens)
        run = self._tap_by_graph(splits, example, expected) or partial(run_tapped, splits)

        def tapped(images: Tensor) -> tuple[list[Tensor], Tensor]:
            maps, answers = run(self._enter(images))
            return list(maps), self._leave(answers)

        return tapped

    def attention(self, images: Tensor) -> Attention:
        """The self-attention of every block of a transformer and the logits, in one pass of images (B, 3, S, S).

        `torch.autograd.grad(logits…, weights)` works where the images require a gradient. Raises Skip for a net without
        attention over all patches.
        """
        with AttentionRecorder() as recorder:
            logits = self.run(images)
        return attention_of(recorder.weights, logits, self.prefix_tokens, self.name)

    def guided_module(self) -> nn.Module:
        """Images to logits, with every ReLU and ReLU6 call as a `nn.ReLU` of its own; shares the parameters.

        Raises Skip for a net that torch.fx cannot follow.
        """
        if self._traced is None:
            raise Skip("torch.fx cannot follow this net, so its ReLU calls cannot be distinguished")
        try:
            return LogitsModule(self._traced.with_distinct_relus(), self._enter, self._leave)
        except Untraceable as error:
            raise Skip(str(error)) from error

    @contextmanager
    def tally(self) -> Iterator[Tally]:
        """Count the images passed inside the block."""
        with self._meter.running() as tally:
            yield tally

    @contextmanager
    def sharing(self) -> Iterator[None]:
        """Inside the block all who ask the trunk for the same images, one after the other, share one pass: explainers
        of one layer, those that hook `module` included where the split is by graph. Never while they are timed."""
        with self._sharing.on():
            yield

    @contextmanager
    def randomised(self, seed: int, layers: Sequence[nn.Module] = ()) -> Iterator[None]:
        """Some of the `parametric` layers, by default the last one, drawn again from N(0, s²), s the standard deviation
        of each parameter; normalisation layers stay.

        The parameters are put back afterwards, also on error.
        """
        parameters = [p for layer in layers or self.parametric[-1:] for p in layer.parameters(recurse=False)]
        saved = [parameter.detach().clone() for parameter in parameters]
        generator = torch.Generator().manual_seed(seed)
        try:
            with torch.no_grad():
                for parameter in parameters:
                    noise = torch.randn(parameter.shape, generator=generator)
                    parameter.copy_(noise * parameter.float().std(correction=0).item())
            with self._sharing.off():
                yield
        finally:
            with torch.no_grad():
                for parameter, old in zip(parameters, saved, strict=True):
                    parameter.copy_(old)

    def _normalise(self, images: Tensor) -> Tensor:
        images = images.to(self.dtype)
        if self.channels == 1:
            images = grey(images)
        return (images - self._shift).div_(self._scale)

    def _input_channels(self, stated: int) -> int:
        """3, or 1 for a net that takes grey images: what it runs on."""
        wanted = next((m.in_channels for m in self._net.modules() if isinstance(m, nn.Conv2d)), 3)
        if wanted not in (1, 3) and not self._runs(3):
            raise UsageError(f"{self.name} takes {wanted} channels and photographs have 3; wrap the net to take 3")
        return 1 if (stated == 1 or wanted == 1) and not self._runs(3) and self._runs(1) else 3

    @torch.no_grad()
    def _runs(self, channels: int) -> bool:
        images = probe_images(self.input_size, channels, 1).to(self.device, self.dtype)
        try:
            self._net(images)
        except FOREIGN_ERRORS as error:  # any net may fail in any way; `examine` says how
            refuse_real_interrupt(error)
            return False
        return True

    def _enter(self, images: Tensor) -> Tensor:
        """Images in [0, 1], counted and normalised."""
        return self._normalise(self._meter.forward(images))

    def _leave(self, answers: Tensor) -> Tensor:
        """The net's numbers as logits, whose gradients are counted."""
        return self._meter.backward(self.output.logits(answers))

    def _as_module(self) -> nn.Module:
        trunk = self.trunk if self.traced else None
        return TappedModule(self._split, self._enter, self._leave, trunk, self._split.head).eval()

    def _example(self, seed: int, batch: int = 2) -> Tensor:
        """Normalised noise images on which the split is made and checked."""
        generator = torch.Generator().manual_seed(seed)
        images = torch.rand(batch, 3, self.input_size, self.input_size, generator=generator)
        return self._normalise(images.to(self.device))

    def _best_split(self, by_hooks: HookSplit, example: Tensor, maps: Tensor, logits: Tensor) -> GraphSplit | HookSplit:
        """The split by graph if it reproduces the net's own maps and logits, else the one by hooks if that does."""
        if self._traced is not None:
            try:
                by_graph = GraphSplit(self._traced, self.layer, by_hooks.layout)
                if _reproduces(by_graph, example, maps, logits):
                    return by_graph
            except Untraceable:
                pass
        if not _reproduces(by_hooks, example, maps, logits):
            raise UsageError(
                f"{self.name} split at layer {self.layer!r} gives other logits than whole: the layer runs more than "
                "once, or changes its maps in place; name another with --layer"
            )
        noise = torch.randn(maps.shape, generator=torch.Generator().manual_seed(0)).to(maps)
        with torch.no_grad():
            if torch.equal(by_hooks.head(noise, (example,)), logits):
                raise UsageError(f"the logits do not depend on layer {self.layer!r}; name another with --layer")
        return by_hooks

    def _check_gradients(self, example: Tensor) -> None:
        """Raises UsageError where the logits have no gradient with respect to the maps. Weights made in inference mode
        take part in none, whatever the net does."""
        if any(parameter.is_inference() for parameter in self._net.parameters()):
            return
        with torch.inference_mode(False), torch.enable_grad():
            A, rest = self._split.trunk(example[:1])
            answers = self._split.head(A.detach().clone().requires_grad_(), [tensor.detach() for tensor in rest])
        if not answers.requires_grad:
            raise UsageError(
                f"{self.name} has no gradient from its logits to layer {self.layer!r}: no_grad, inference_mode or "
                "detach inside forward, it seems; take it out, since explainers need gradients"
            )

    def _find_linear(self, maps: Tensor) -> tuple[Tensor, Tensor] | None:
        """(W (C, K), b (C,)) if the head is global average pooling and one linear layer, else None.

        Some `nn.Linear` of that shape must reproduce the head on signed random maps of three magnitudes.
        """
        layer = self.parametric[-1]
        if not isinstance(layer, nn.Linear) or layer.weight.shape[1] != maps.shape[1]:
            return None
        if isinstance(self._split, GraphSplit) and not self._split.autonomous:
            return None
        rest = () if isinstance(self._split, GraphSplit) else (self._example(seed=1),)
        weight = layer.weight.detach()
        bias = layer.bias.detach() if layer.bias is not None else weight.new_zeros(len(weight))
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for scale in (0.1, 1.0, 30.0):
                random = scale * torch.randn(maps.shape, generator=generator).to(maps)
                expected = random.mean((2, 3)) @ weight.T + bias
                if not alike(self.output.logits(self._split.head(random, rest)), self.output.logits(expected)):
                    return None
        if self.output.raw:
            return weight, bias
        rows = self.output.logits(torch.cat([weight, bias[:, None]], 1).T).T
        return (rows[:, :-1], rows[:, -1]) if self.output.name == "binary" else None

    def _tap_by_graph(
        self, splits: Sequence[HookSplit], example: Tensor, expected: Sequence[Tensor]
    ) -> Callable[[Tensor], tuple[list[Tensor], Tensor]] | None:
        if self._traced is None:
            return None
        try:
            run = self._traced.taps([split.layer for split in splits], [split.layout for split in splits])
        except Untraceable:
            return None
        with torch.no_grad():
            return run if all(map(alike, run(example)[0], expected)) else None


def grey(images: Tensor) -> Tensor:
    """(B, 3, H, W) to (B, 1, H, W): Rec. 601 luma, as Pillow converts to grey."""
    return (images * images.new_tensor(LUMA).view(-1, 1, 1)).sum(1, keepdim=True)


def state_digest(net: nn.Module) -> str:
    """sha256 over the names, shapes, dtypes and bytes of a net's state, as hex."""
    digest = hashlib.sha256()
    for name, tensor in net.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _trace(net: nn.Module, example: Tensor) -> Traced | None:
    try:
        return Traced(net, example)
    except Untraceable:
        return None


def _reproduces(split: GraphSplit | HookSplit, example: Tensor, maps: Tensor, logits: Tensor) -> bool:
    """Same maps and logits as the net, a head that answers for each image alone and leaves its maps as they were."""
    with torch.no_grad():
        A, rest = split.trunk(example)
        if any(tensor.shape[:1] != A.shape[:1] for tensor in rest):
            return False
        both, last = split.head(A, rest), split.head(A[-1:], [tensor[-1:] for tensor in rest])
        return alike(both, logits) and alike(last, logits[-1:]) and alike(A, maps)


@contextmanager
def _running(net: nn.Module, kinds: tuple[type[nn.Module], ...]) -> Iterator[list[nn.Module]]:
    """Modules of these kinds in the order in which they run inside the block."""
    ran: list[nn.Module] = []
    with ExitStack() as stack:
        for module in net.modules():
            if isinstance(module, kinds):
                stack.enter_context(hooked(module, lambda module, inputs, output: ran.append(module)))
        yield ran


def _only_rectifiers(net: nn.Module, traced: Traced | None) -> bool:
    """ReLU or ReLU6 activations, and no smooth or leaky ones."""
    names = {type(module).__name__.lower() for module in net.modules()}
    if traced is not None:
        names |= {operation(net, node) for node in traced.graph.nodes}
    return bool(names & RECTIFIERS) and not names & OTHER_ACTIVATIONS
