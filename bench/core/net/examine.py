"""A network put to the test before anything is computed: does it answer, for each image alone and always alike?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from bench.core.errors import FOREIGN_ERRORS, UsageError, foreign, reason

ALIKE = 1e-4
"""Share of the largest magnitude by which answers may differ through rounding, in single precision."""
ROUGHLY_ALIKE = 2e-2
"""The same in half precision."""


def alike(value: Tensor, expected: Tensor) -> bool:
    """Equal up to rounding: 1e-4 of the largest magnitude in single precision or better, 2 % below."""
    tolerance = ALIKE if expected.dtype in (torch.float32, torch.float64) else ROUGHLY_ALIKE
    return value.shape == expected.shape and bool(
        (value - expected).abs().max() <= tolerance * expected.abs().max().clamp_min(1e-12)
    )


def refuse_unusable(net: nn.Module, name: str) -> None:
    """Raises UsageError for kinds of network whose layers or gradients are not available."""
    if isinstance(net, torch.jit.ScriptModule):
        raise UsageError(f"{name} is TorchScript, whose layers cannot be explained; give the nn.Module behind it")
    for path, module in net.named_modules():
        kind = type(module)
        if ".quantized" in kind.__module__:
            raise UsageError(
                f"{name} is quantised ({path or kind.__name__}), so it has no gradients; give the net in floating point"
            )
    if any(tensor.is_meta for tensor in [*net.parameters(), *net.buffers()]):
        raise UsageError(f"{name} is on the meta device and has no weights; build it on the CPU, and load its weights")
    if any(is_lazy(tensor) for tensor in [*net.parameters(), *net.buffers()]):
        raise UsageError(f"{name} has lazy layers without weights; run it on an image, or load weights, in its file")


def probe_images(size: int, channels: int = 3, count: int = 3) -> Tensor:
    """(count, channels, size, size) noise in [0, 1] of unequal contrast and brightness, so that a net that looks at its
    whole batch gives itself away."""
    generator = torch.Generator().manual_seed(3)
    noise = torch.rand(count, channels, size, size, generator=generator)
    contrast = torch.linspace(1, 0.25, count).view(-1, 1, 1, 1)
    return noise * contrast + (1 - contrast) * torch.tensor([0.0, 1.0]).repeat(count)[:count].view(-1, 1, 1, 1)


@torch.no_grad()
def examine(net: nn.Module, name: str, images: Tensor) -> Tensor:
    """(n, C) what the net answers for normalised images (n, 3, S, S).

    Raises UsageError, with the cause, for a net that fails, gives no (B, C) tensor of numbers, does not give an image
    the answer that it has alone, is random, or changes its own buffers when it answers.
    """
    before = {path: tensor.clone() for path, tensor in net.named_buffers()}
    try:
        alone = ask(net, images[:1])
    except FOREIGN_ERRORS as error:  # any net may fail in any way
        refuse_real_interrupt(error)
        shape = " × ".join(map(str, images.shape[1:]))
        raise UsageError(
            f"{name} fails on an image of {shape} ({reason(error)}); state its input_size, or wrap it so that it takes "
            "(B, 3, S, S)"
        ) from error
    try:
        together = ask(net, images)
    except FOREIGN_ERRORS as error:
        refuse_real_interrupt(error)
        raise UsageError(
            f"{name} answers one image but fails on a batch of {len(images)} ({reason(error)}); "
            "it must take any number of images"
        ) from error
    check_shape(name, alone, together, len(images))
    changed = [path for path, tensor in net.named_buffers() if not torch.equal(tensor, before[path])]
    training = [path or "the net" for path, module in net.named_modules() if module.training]
    if changed or training:
        for path, tensor in net.named_buffers():
            tensor.copy_(before[path])
        what = f"changes its buffers ({changed[0]})" if changed else f"has parts in training mode ({training[0]})"
        raise UsageError(f"{name} {what} after eval(), so its answers depend on what it saw before; fix its train()")
    if not together.isfinite().any():
        raise UsageError(f"{name} answers no finite number for noise images; check its weights and normalisation")
    if not alike(ask(net, images).nan_to_num(), together.nan_to_num()):
        raise UsageError(
            f"{name} answers differently when asked twice: it is random in eval mode (dropout left on?); "
            "use nn.Dropout, or pass training=self.training"
        )
    each = torch.cat([alone, *(ask(net, image[None]) for image in images[1:])])
    if not alike(each.nan_to_num(), together.nan_to_num()):
        raise UsageError(
            f"{name}: the answer for an image depends on the others in its batch (batch normalisation without running "
            "statistics, or a mean over the batch?); explainers and scores need a net that answers image by image"
        )
    result: Tensor = together
    return result


def refuse_real_interrupt(error: BaseException) -> None:
    """Let Ctrl-C through; what a net raises by itself is its own failure."""
    if not foreign(error):
        raise error


def ask(net: nn.Module, images: Tensor) -> Any:
    return net(images)


def check_shape(name: str, alone: Any, together: Any, count: int) -> None:
    for answer in (together, alone):
        if not isinstance(answer, Tensor):
            raise UsageError(
                f"{name} returns a {type(answer).__name__}; wrap it to return the logits alone, a tensor (B, C)"
            )
    if together.ndim == 2 and len(together) == count and alone.shape != (1, together.shape[1]):
        raise UsageError(
            f"{name} gives {tuple(alone.shape)} for one image and {tuple(together.shape)} for {count}: "
            "a squeeze() drops the batch; write flatten(1) or squeeze with dimensions"
        )
    if together.ndim != 2 or len(together) != count or not together.is_floating_point():
        raise UsageError(
            f"{name} gives {tuple(together.shape)} of {str(together.dtype).removeprefix('torch.')} for {count} images; "
            "it must give logits (B, C)"
        )
