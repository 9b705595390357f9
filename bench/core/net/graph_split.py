"""A net split by its graph into trunk and head at one layer, without hooks."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor, fx, nn

from bench.core.net.layers import Layout

Tap = Callable[[Tensor], Tensor]


class Untraceable(Exception):
    """torch.fx cannot follow this net or this layer."""


class GraphSplit(nn.Module):
    """`head(*trunk(x)) == net(x)`, cut at the last operation of the module path `layer`.

    The head is what depends on the layer's maps A; the trunk is all else; `rest` is every other tensor that crosses the
    cut (ConvNeXt's residual, a ViT's stream). Sizes that cross are read again in the head, so that A and rest may come
    in any batch. Both parts share the net's submodules, and no operation works in place: A is safe to keep.

    Raises Untraceable.
    """

    def __init__(self, traced: Traced, layer: str, layout: Layout):
        super().__init__()
        graph, (maps,) = traced.tapped([layer], [layout])
        output = next(node for node in graph.nodes if node.op == "output")
        rest = _crossing(graph, maps, output)
        source = next(node for node in graph.nodes if node.op == "placeholder")
        self.autonomous = not rest
        self.trunk_graph = _part(traced.net, graph, [source], (maps, *rest))
        self.head_graph = _part(traced.net, graph, [maps, *rest], output.args[0])

    def trunk(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        maps, *rest = self.trunk_graph(x)
        return maps, tuple(rest)

    def head(self, maps: Tensor, rest: Sequence[Tensor]) -> Tensor:
        result: Tensor = self.head_graph(maps, *(_expanded(tensor, maps.shape[0]) for tensor in rest))
        return result

    def forward(self, x: Tensor, tap: Tap | None = None) -> Tensor:
        maps, rest = self.trunk(x)
        return self.head(tap(maps) if tap else maps, rest)


class Traced:
    """The graph of a net, made free of in-place operations, which torch.fx could follow. Raises Untraceable."""

    def __init__(self, net: nn.Module, example: Tensor):
        self.net = net
        tracer, self.graph = _trace(net)
        _drop_other_inputs(self.graph)
        _make_functional(net, self.graph)
        with torch.no_grad():
            _MarkSizes(fx.GraphModule(net, self.graph)).run(example)
        self.opaque = [net.get_submodule(path) for path in tracer.opaque_paths]

    def tapped(self, layers: Sequence[str], layouts: Sequence[Layout]) -> tuple[fx.Graph, list[fx.Node]]:
        """A copy of the graph in which each layer's output goes through its maps, and the nodes of those maps."""
        graph = fx.Graph()
        copies: dict[fx.Node, Any] = {}
        output = graph.graph_copy(self.graph, copies)
        graph.output(output)
        ends = [copies[self._end(layer)] for layer in layers]
        return graph, [_insert_maps(graph, end, layout) for end, layout in zip(ends, layouts, strict=True)]

    def _end(self, layer: str) -> fx.Node:
        inside = [
            node
            for node in self.graph.nodes
            if any(path == layer for path, _ in node.meta.get("nn_module_stack", {}).values())
        ]
        if not inside:
            raise Untraceable(f"no operation of {layer!r} is in the graph")
        result: fx.Node = inside[-1]
        return result

    def taps(self, layers: Sequence[str], layouts: Sequence[Layout]) -> fx.GraphModule:
        """x -> ([maps of each layer], logits); the logits are computed from those maps."""
        graph, maps = self.tapped(layers, layouts)
        output = next(node for node in graph.nodes if node.op == "output")
        output.args = ((maps, output.args[0]),)
        return fx.GraphModule(self.net, graph)

    def with_distinct_relus(self) -> fx.GraphModule:
        """The net with a separate `nn.ReLU` for each ReLU call; ReLU6 is that ReLU, clamped at 6.

        Raises Untraceable where a ReLU is hidden in a module that cannot be followed.
        """
        if any(isinstance(part, nn.ReLU | nn.ReLU6) for module in self.opaque for part in module.modules()):
            raise Untraceable("a ReLU is inside a module that torch.fx cannot follow")
        graph = fx.Graph()
        graph.output(graph.graph_copy(self.graph, {}))
        root = {
            node.target: reduce(getattr, node.target.split("."), self.net)
            for node in graph.nodes
            if node.op in ("call_module", "get_attr")
        }
        for node in list(graph.nodes):
            kind = operation(self.net, node)
            if kind not in ("relu", "relu6"):
                continue
            name = f"guided_relu_{node.name}"
            root[name] = nn.ReLU()
            with graph.inserting_before(node):
                new = graph.call_module(name, (node.args[0] if node.args else node.kwargs["input"],))
                if kind == "relu6":
                    new = graph.call_function(torch.clamp, (new,), {"max": 6.0})
            node.replace_all_uses_with(new)
            graph.erase_node(node)
        return fx.GraphModule(root, graph)


def operation(net: nn.Module, node: fx.Node) -> str:
    """Lower-case name of what a node computes: `relu` for nn.ReLU, F.relu, torch.relu and Tensor.relu alike."""
    if node.op == "call_module":
        return type(net.get_submodule(str(node.target))).__name__.lower()
    if node.op == "call_function":
        return getattr(node.target, "__name__", "").lower()
    return str(node.target) if node.op == "call_method" else ""


class _Tracer(fx.Tracer):
    """Leaves the given kinds of module whole, and remembers in which kind tracing failed."""

    def __init__(self, opaque: set[type[nn.Module]]):
        super().__init__()
        self.opaque = opaque
        self.opaque_paths: list[str] = []
        self.failed: type[nn.Module] | None = None

    def is_leaf_module(self, m: nn.Module, module_qualname: str) -> bool:
        if type(m) in self.opaque:
            self.opaque_paths.append(module_qualname)
            return True
        return super().is_leaf_module(m, module_qualname)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception:
            self.failed = self.failed or type(m)
            raise


def _trace(net: nn.Module) -> tuple[_Tracer, fx.Graph]:
    """Trace; a kind of module whose own code cannot be followed becomes one opaque step. Raises Untraceable."""
    defaults = {
        name: parameter.default
        for name, parameter in list(inspect.signature(net.forward).parameters.items())[1:]
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    }
    opaque: set[type[nn.Module]] = set()
    while True:
        tracer = _Tracer(opaque)
        try:
            return tracer, tracer.trace(net, concrete_args=defaults or None)
        except Exception as error:  # tracing runs the net's own code on proxies, which may fail in any way
            if tracer.failed is None or tracer.failed in opaque:
                raise Untraceable(str(error)) from error
            opaque.add(tracer.failed)


class _MarkSizes(fx.Interpreter):
    """Marks the nodes whose value is no tensor: shapes, sizes, tuples."""

    def run_node(self, node: fx.Node) -> Any:
        value = super().run_node(node)
        node.meta["plain"] = not isinstance(value, Tensor)
        return value


def _drop_other_inputs(graph: fx.Graph) -> None:
    """Erase the placeholders of defaulted arguments, with the assertions that torch.fx made about them."""
    for extra in [node for node in graph.nodes if node.op == "placeholder"][1:]:
        for user in list(extra.users):
            for check in list(user.users):
                graph.erase_node(check)
            graph.erase_node(user)
        graph.erase_node(extra)


def _make_functional(net: nn.Module, graph: fx.Graph) -> None:
    """Replace in-place operations by their pure forms; later readers of the changed tensor read the result instead."""
    modules = {name for name, module in net.named_modules() if getattr(module, "inplace", False) is True}
    for name in modules:
        net.get_submodule(name).inplace = False  # type: ignore[assignment]
    order = {node: position for position, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        if not (node.target in modules if node.op == "call_module" else _purify(node)):
            continue
        changed = node.args[0] if node.args else node.kwargs.get("input")
        if isinstance(changed, fx.Node):
            changed.replace_all_uses_with(node, partial(_after, order, node))


def _after(order: Mapping[fx.Node, int], node: fx.Node, user: fx.Node) -> bool:
    return order[user] > order[node]


def _purify(node: fx.Node) -> bool:
    """Make one function or method node pure; says whether it worked in place."""
    if node.op == "call_method":
        pure = str(node.target).removesuffix("_")
        if pure == node.target or not callable(getattr(torch.Tensor, pure, None)):
            return False
        node.target = pure
        return True
    if node.op != "call_function" or not callable(node.target):
        return False
    name = getattr(node.target, "__name__", "")
    if getattr(operator, name, None) is node.target:
        pure_operator = getattr(operator, name[1:], None) if name.startswith("i") else None
        if pure_operator is None or name in ("is_", "index", "invert", "inv", "itemgetter"):
            return False
        node.target = pure_operator
        return True
    if name.endswith("_") and callable(getattr(torch, name[:-1], None)):
        node.target = getattr(torch, name[:-1])
        return True
    try:
        given = inspect.signature(node.target).bind(*node.args, **node.kwargs).arguments
    except (TypeError, ValueError):  # builtins without signature have no `inplace`
        return False
    if given.get("inplace") is not True:
        return False
    position = list(inspect.signature(node.target).parameters).index("inplace")
    if "inplace" in node.kwargs:
        node.update_kwarg("inplace", False)
    else:
        node.update_arg(position, False)
    return True


def _insert_maps(graph: fx.Graph, end: fx.Node, layout: Layout) -> fx.Node:
    """Put the layout's steps behind `end`; returns the node of the maps (B, K, h, w)."""
    readers = list(end.users)
    maps: list[fx.Node] = []

    def note(proxy: fx.Proxy) -> fx.Proxy:
        maps.append(proxy.node)
        return proxy

    with graph.inserting_before(end.next):
        back = layout.through(fx.Proxy(end, fx.proxy.GraphAppendingTracer(graph)), note).node
    if back is not end:
        end.replace_all_uses_with(back, lambda user: user in readers)
    return maps[0]


def _crossing(graph: fx.Graph, maps: fx.Node, output: fx.Node) -> list[fx.Node]:
    """The tensors, other than the maps, that come from the input and that the head reads."""
    below = _descendants(graph, [maps])
    from_input = _descendants(graph, [node for node in graph.nodes if node.op == "placeholder"])
    if output not in below:
        raise Untraceable("the logits do not depend on this layer")
    rest: set[fx.Node] = set()
    seen, queue = {maps}, [output]
    while queue:
        node = queue.pop()
        if node in seen:
            continue
        seen.add(node)
        if node not in below and node in from_input and not node.meta.get("plain"):
            rest.add(node)
        else:
            queue.extend(node.all_input_nodes)
    return [node for node in graph.nodes if node in rest]


def _descendants(graph: fx.Graph, roots: Iterable[fx.Node]) -> set[fx.Node]:
    found = set(roots)
    for node in graph.nodes:
        if any(parent in found for parent in node.all_input_nodes):
            found.add(node)
    return found


def _part(net: nn.Module, graph: fx.Graph, inputs: Sequence[fx.Node], result: Any) -> fx.GraphModule:
    """The part of the graph that computes `result` from `inputs`, as a module that shares the net's submodules."""
    needed: set[fx.Node] = set()
    queue: list[fx.Node] = []
    fx.node.map_arg(result, queue.append)
    while queue:
        node = queue.pop()
        if node not in needed and node not in inputs:
            needed.add(node)
            queue.extend(node.all_input_nodes)
    part = fx.Graph()
    copies: dict[fx.Node, Any] = {}
    for node in inputs:
        copies[node] = part.placeholder(node.name)
    for node in graph.nodes:
        if node in needed:
            copies[node] = part.node_copy(node, copies.__getitem__)
    part.output(fx.node.map_arg(result, copies.__getitem__))
    return fx.GraphModule(net, part)


def _expanded(tensor: Tensor, batch: int) -> Tensor:
    """What crosses the cut for one image, for every row of a batch of its maps."""
    return tensor if tensor.shape[0] == batch else tensor.expand(batch, *tensor.shape[1:])
