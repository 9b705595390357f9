"""BatchNorm folded into the convolution before it: the same function with half the memory traffic, for scoring only."""

from __future__ import annotations

import copy
import functools
import inspect
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


class Norm(NamedTuple):
    """An evaluation-mode batch normalisation: weight · (x − running_mean) / sqrt(running_var + eps) + bias."""

    running_mean: Tensor
    running_var: Tensor
    eps: float
    weight: Tensor | None
    bias: Tensor | None


FIELDS = Norm._fields


def folded(net: nn.Module, graph: fx.Graph) -> fx.GraphModule:
    """A graph of `net` in which every convolution followed by nothing but a batch normalisation does both.

    W' = W γ / sqrt(var + eps) and b' = (b − mean) γ / sqrt(var + eps) + β; all other modules and parameters are shared
    with the net, which stays as it is. Equal to the net up to float rounding.
    """
    copy = fx.Graph()
    copy.output(copy.graph_copy(graph, {}))
    root = {str(n.target): lookup(net, n) for n in copy.nodes if n.op in ("call_module", "get_attr")}
    for node in list(copy.nodes):
        norm, conv = read_norm(root, node), node.args[0] if node.args else None
        if norm is None or not isinstance(conv, fx.Node) or not feeds_only(conv, node):
            continue
        module = root.get(str(conv.target))
        if conv.op != "call_module" or not isinstance(module, nn.Conv2d):
            continue
        name = f"folded_{node.name}"
        root[name] = FoldedConv(module, norm)
        with copy.inserting_before(conv):
            new = copy.call_module(name, conv.args, conv.kwargs)
        for old in (node, conv):
            old.replace_all_uses_with(new)
            copy.erase_node(old)
    return fx.GraphModule(root, copy)


def feeds_only(node: fx.Node, user: fx.Node) -> bool:
    """Whether nothing but `user` reads the node's values; others may read its `ndim` or `shape`, which stay."""
    return all(u is user or (u.op == "call_function" and u.target is getattr) for u in node.users)


class FoldedConv(nn.Module):
    """A twin of the convolution `conv` with other weights: subclasses keep their own padding rule."""

    def __init__(self, conv: nn.Conv2d, norm: Norm):
        super().__init__()
        self.conv = copy.copy(conv)
        bias = conv.bias if conv.bias is not None else torch.zeros_like(norm.running_mean)
        weight, bias = fuse_conv_bn_weights(
            conv.weight, bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        self.conv._parameters = {"weight": weight, "bias": bias}
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(x)
        return result


def read_norm(root: dict[str, Any], node: fx.Node) -> Norm | None:
    """The batch normalisation with fixed statistics that a node computes, or None."""
    if node.op == "call_module" and type(root[str(node.target)]) is nn.BatchNorm2d:
        norm = root[str(node.target)]
        return None if norm.training or norm.running_mean is None else Norm(*(getattr(norm, f) for f in FIELDS))
    if node.op == "call_function" and node.target is F.batch_norm:
        given = inspect.signature(F.batch_norm).bind(*node.args, **node.kwargs)
        given.apply_defaults()
        values = {k: root[str(v.target)] if isinstance(v, fx.Node) and v.op == "get_attr" else v
                  for k, v in given.arguments.items()}  # fmt: skip
        if isinstance(values["running_mean"], Tensor) and values["training"] is False:
            return Norm(*(values[field] for field in FIELDS))
    return None


def lookup(net: nn.Module, node: fx.Node) -> Any:
    return functools.reduce(getattr, str(node.target).split("."), net)
