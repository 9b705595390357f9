"""What the self-attention of a transformer looks at, recorded while its own code runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from bench.core.errors import Skip


@dataclass(frozen=True)
class Attention:
    """The self-attention of a transformer for a batch."""

    weights: tuple[Tensor, ...]
    """(B, heads, T, T) of each block, from the first: what the token of a row takes from that of a column."""
    logits: Tensor
    """(B, C)."""
    prefix: int
    """Tokens before the patches: the class token first, if there is one."""
    side: int
    """Patches along an edge: T = prefix + side²."""

    def map(self, relevance: Tensor) -> Tensor:
        """(B, h, w) what the network reads out, from (B, T, T) of each token to each: the class token's row or, where
        there is none, the mean over the patches."""
        row = relevance[:, 0] if self.prefix else relevance.mean(1)
        found: Tensor = row[:, self.prefix :].unflatten(1, (self.side, self.side))
        return found


def attention_of(weights: Sequence[Tensor], logits: Tensor, prefix: int | None, name: str) -> Attention:
    """Raises Skip unless the blocks attend from all tokens to all, and these are a square of patches after `prefix`
    others (None: as many as are left over from the largest square)."""
    shapes = {tuple(found.shape[2:]) for found in weights}
    if len(shapes) != 1 or weights[0].ndim != 4 or len(weights[0]) != len(logits):
        raise Skip(f"{name} has no self-attention over all of its patches")
    ((tokens, others),) = shapes
    side = math.isqrt(tokens - (prefix or 0))
    before = tokens - side * side
    if tokens != others or (prefix is not None and before != prefix):
        raise Skip(f"the {tokens} tokens of {name} are no square of patches after {prefix} others")
    return Attention(tuple(weights), logits, before, side)


class OpenAttention(TorchFunctionMode):
    """Inside the block every `scaled_dot_product_attention` and every `nn.MultiheadAttention` is computed step by step,
    each step part of the graph. A subclass says what happens at each."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return self.attend(*args, **kwargs)
        if func is F.multi_head_attention_forward:
            return self.attend_with_heads(*args, **kwargs), None
        return func(*args, **kwargs)

    def project(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """A projection of `nn.MultiheadAttention`."""
        return F.linear(x, weight, bias)

    def product(self, left: Tensor, right: Tensor) -> Tensor:
        """Queries times keys, and weights times values."""
        found: Tensor = left @ right
        return found

    def look(self, weights: Tensor) -> None:
        """At the weights (B, heads, T, T) of a block."""

    def attend_with_heads(self, *args: Any, **kwargs: Any) -> Tensor:
        """(T, B, E) what `nn.MultiheadAttention` mixes. Raises Skip where its projections are not packed in one matrix,
        and where it masks."""
        given = signature(F.multi_head_attention_forward).bind(*args, **kwargs)
        given.apply_defaults()
        options = given.arguments
        inputs = [options[name] for name in ("query", "key", "value")]
        packed, bias = options["in_proj_weight"], options["in_proj_bias"]
        masks = [options[name] for name in ("attn_mask", "key_padding_mask", "bias_k")]
        if packed is None or options["add_zero_attn"] or inputs[0].ndim != 3 or any(m is not None for m in masks):
            raise Skip("its attention masks, or has projections of its own for keys and values")
        biases = (None,) * 3 if bias is None else bias.chunk(3)
        parts = [
            self.project(x, weight, b).unflatten(-1, (options["num_heads"], -1)).permute(1, 2, 0, 3)
            for x, weight, b in zip(inputs, packed.chunk(3), biases, strict=True)
        ]
        mixed = self.attend(*parts).permute(2, 0, 1, 3).flatten(2)
        return self.project(mixed, options["out_proj_weight"], options["out_proj_bias"])

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
        is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
    ) -> Tensor:  # fmt: skip
        """softmax(q kᵀ · scale + mask) v of (B, heads, T, d), the scale 1/√d unless it is given."""
        scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
        scores = self.product(query, key.transpose(-2, -1)) * scale
        if attn_mask is not None:
            scores = scores.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
        weights = scores.softmax(-1)
        self.look(weights)
        return self.product(weights, value)


class AttentionRecorder(OpenAttention):
    """`weights` lists what each block's tokens take, in the order of the blocks: (B, heads, T, T), rows sum to 1, part
    of the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Tensor] = []

    def look(self, weights: Tensor) -> None:
        self.weights.append(weights)
