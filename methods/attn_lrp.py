"""AttnLRP: layer-wise relevance propagation through transformers, as a gradient whose rules are changed while the net's
own code runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.errors import Skip
from bench.core.explainer import Passes, explainer
from bench.core.net.attention import OpenAttention
from bench.core.ranges import within
from methods._common import check_targets, of_targets

GAMMA = within(0, 1000)


@explainer("attn-lrp", paper="Achtibat et al. 2024 (AttnLRP), arXiv 2402.05602", passes=Passes(1, 1),
           order="up-then-min-max", uses_layer=False)  # fmt: skip
def attn_lrp(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    *,
    gamma_conv: Annotated[float, GAMMA] = 0.25,
    gamma_linear: Annotated[float, GAMMA] = 0.05,
) -> Tensor:
    """(B, H, W) S = Σ over colours of R, R = x · ∂f_c/∂x at the normalised pixels x, with these rules for the relevance
    R of a step, each written as a change of its gradient:

    - normalisation: its deviation is a constant (equation 9); GELU and the like: R goes through unchanged (equation 9);
    - products in the attention: half to each factor (equation 7); softmax: its own gradient (equation 13);
    - linear layers and convolutions: R in the shares of x_i (w_ij + gamma · the part of w_ij that goes along with the
      sign of the output); 0 is the share of x_i w_ij.

    Native: the authors' library patches classes of the process. It sets the gammas per network; these are of the middle
    of what it tries for ViT. LRP is patented by Fraunhofer; its authors allow personal and scientific use. Skipped for
    nets whose attention is not PyTorch's own.

    Known failure: without gammas the relevance of single pixels is noise; with large ones the class is lost.
    """
    check_targets(classifier, targets)
    x = images.detach().clone().requires_grad_()
    with torch.enable_grad(), Rules(gamma_conv, gamma_linear) as rules:
        score = of_targets(classifier.run(x), targets).sum()
    if not rules.attended:
        raise Skip(f"{classifier.name} has no attention of PyTorch's own")
    (gradient,) = torch.autograd.grad(score, x)
    centred = images - classifier.mean.to(images)[:, None, None]
    return (centred * gradient).sum(1)


class Rules(OpenAttention):
    """Inside the block the gradient of a network times its input is the relevance of AttnLRP."""

    def __init__(self, gamma_conv: float, gamma_linear: float):
        super().__init__()
        self.attended = 0
        self.handlers: dict[Any, Callable[..., Any]] = {
            F.layer_norm: normalise,
            F.linear: partial(along, F.linear, gamma_linear),
            F.conv2d: partial(along, F.conv2d, gamma_conv),
            torch.conv2d: partial(along, torch.conv2d, gamma_conv),
            **{function: straight(function) for function in (F.gelu, F.relu, F.silu)},
        }

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in self.handlers:
            return self.handlers[func](*args, **(kwargs or {}))
        return super().__torch_function__(func, types, args, kwargs)

    def project(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        found: Tensor = self.handlers[F.linear](x, weight, bias)
        return found

    def product(self, left: Tensor, right: Tensor) -> Tensor:
        return halved(super().product(left, right))

    def look(self, weights: Tensor) -> None:
        self.attended += 1


def normalise(
    x: Tensor, shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """A layer normalisation whose deviation is a constant."""
    axes = tuple(range(-len(shape), 0))
    centred = x - x.mean(axes, keepdim=True)
    deviation = (centred.square().mean(axes, keepdim=True) + eps).sqrt()
    result = centred / deviation.detach()
    result = result if weight is None else result * weight
    return result if bias is None else result + bias


def halved(x: Tensor) -> Tensor:
    """x, with half of its gradient."""
    return (x + x.detach()) / 2


def ratio(over: Tensor, under: Tensor) -> Tensor:
    """Their quotient as a constant, 0 where nothing is divided by."""
    safe = under.where(under.abs() > 1e-10, torch.inf)
    return (over / safe).detach()


def straight(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """f(x) as x times a constant, so that relevance goes through unchanged."""

    def applied(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        kwargs.pop("inplace", None)
        y = function(x, *args, **kwargs)
        return x * ratio(y, x) + (y - x * ratio(y, x)).detach()

    return applied


def along(function: Callable[..., Tensor], gamma: float, x: Tensor, weight: Tensor, bias: Tensor | None = None,
          *args: Any, **kwargs: Any) -> Tensor:  # fmt: skip
    """A linear map y, with the gradient of y · z / z₀: z the map in which what goes along with the sign of y counts
    1 + gamma times (the gamma rule for inputs of both signs), z₀ its value."""
    y = function(x, weight, bias, *args, **kwargs)
    if gamma == 0:
        return y
    more, less = weight + gamma * weight.clamp(min=0), weight + gamma * weight.clamp(max=0)
    lift = [None, None] if bias is None else [bias + gamma * bias.clamp(min=0), bias + gamma * bias.clamp(max=0)]
    up, down = x.clamp(min=0), x.clamp(max=0)
    rising = function(up, more, lift[0], *args, **kwargs) + function(down, less, None, *args, **kwargs)
    falling = function(up, less, lift[1], *args, **kwargs) + function(down, more, None, *args, **kwargs)
    z = torch.where(y > 0, rising, falling)
    scaled = z * ratio(y, z)
    return scaled + (y - scaled).detach()
