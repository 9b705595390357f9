"""BatchNorm folded into the convolution before it: the same function with half the memory traffic, for scoring only."""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


class Norm(NamedTuple):
    """An evaluation-mode batch normalisation: γ (x − mean) / sqrt(var + eps) + β."""

    mean: Tensor
    var: Tensor
    eps: float
    weight: Tensor | None
    bias: Tensor | None


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
        if (
            norm is None
            or not is_convolution(root, conv)
            or any(u is not node and not asks_size(u) for u in conv.users)
        ):
            continue
        name = f"folded_{node.name}"
        root[name] = FoldedConv(root[str(conv.target)], norm)
        with copy.inserting_before(conv):
            new = copy.call_module(name, conv.args, conv.kwargs)
        node.replace_all_uses_with(new)
        conv.replace_all_uses_with(new)
        copy.erase_node(node)
        copy.erase_node(conv)
    return fx.GraphModule(root, copy)


class FoldedConv(nn.Module):
    """The convolution `conv` with other weights, without a copy of it: subclasses keep their own padding rule."""

    def __init__(self, conv: nn.Conv2d, norm: Norm):
        super().__init__()
        self.conv = conv
        bias = conv.bias if conv.bias is not None else torch.zeros_like(norm.mean)
        weight, bias = fuse_conv_bn_weights(conv.weight, bias, norm.mean, norm.var, norm.eps, norm.weight, norm.bias)
        self.weights = {"weight": weight.detach(), "bias": bias.detach()}

    def forward(self, x: Tensor) -> Tensor:
        return torch.func.functional_call(self.conv, self.weights, (x,))


def asks_size(node: fx.Node) -> bool:
    """Whether a node reads `ndim`, `shape` or the like, which folding does not change."""
    return node.op == "call_function" and node.target is getattr


def is_convolution(root: dict[str, object], node: object) -> bool:
    return isinstance(node, fx.Node) and node.op == "call_module" and isinstance(root[str(node.target)], nn.Conv2d)


def read_norm(root: dict[str, object], node: fx.Node) -> Norm | None:
    """The batch normalisation with fixed statistics that a node computes, or None."""
    if node.op == "call_module" and type(root[str(node.target)]) is nn.BatchNorm2d:
        norm = root[str(node.target)]
        assert isinstance(norm, nn.BatchNorm2d)
        if norm.running_mean is None or norm.running_var is None or norm.training:
            return None
        return Norm(norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    if node.op == "call_function" and node.target is F.batch_norm:
        bound = dict(zip(("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
                         node.args, strict=False)) | dict(node.kwargs)  # fmt: skip
        values = {key: root[str(v.target)] if isinstance(v, fx.Node) and v.op == "get_attr" else v
                  for key, v in bound.items() if key != "input"}  # fmt: skip
        if isinstance(values["running_mean"], Tensor) and values.get("training") is False:
            return Norm(values["running_mean"], values["running_var"], float(values.get("eps", 1e-5)),
                        values.get("weight"), values.get("bias"))  # fmt: skip
    return None


def lookup(net: nn.Module, node: fx.Node) -> object:
    return functools.reduce(getattr, str(node.target).split("."), net)
