"""Methods as programs give them: texts as on the command line, or functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bench.core.errors import UsageError
from bench.core.explainer import EXPLAINERS, Explainer
from bench.core.protocols import Protocol
from bench.core.source import origin_of, source_of
from bench.core.spec import Entry, Spec, read_parameters
from bench.run.select_sources import choose_sources
from bench.scoring.sources import ExplainerSource, Source

Method = str | Callable[..., Any]


def split_methods(methods: Method | Sequence[Method]) -> tuple[str, tuple[Source, ...]]:
    """The named methods as one text, and a source for each function."""
    given = list(methods) if isinstance(methods, list | tuple) else [methods]
    texts = [method for method in given if isinstance(method, str)]
    texts += [name for method in given if callable(method) and (name := registered_name(method))]
    functions = [method for method in given if callable(method) and not registered_name(method)]
    if wrong := [method for method in given if not isinstance(method, str) and not callable(method)]:
        raise UsageError(f"a method is a name or a function, not {wrong[0]!r}")
    return ",".join(texts), tuple(map(function_source, functions))


def all_sources(methods: Method | Sequence[Method], protocol: Protocol) -> tuple[Source, ...]:
    """A source for each method, in the order given, without controls. Raises UsageError."""
    text, functions = split_methods(methods)
    named = choose_sources(text, protocol=protocol, controls=False) if text else ()
    return (*named, *functions)


def registered_name(function: Callable[..., Any]) -> str | None:
    return next((entry.name for entry in EXPLAINERS if entry.value.function is function), None)


def function_source(function: Callable[..., Any]) -> ExplainerSource:
    """A function (classifier, images, targets) -> maps as a row named after it, with a digest of its code in its keys.

    Raises UsageError for a keyword without type and default.
    """
    name = getattr(function, "__name__", type(function).__name__).strip("<>").replace("_", "-")
    explainer = Explainer(function, paper="a function", source=source_of(function))
    return ExplainerSource(Spec(Entry(name, explainer, origin_of(function), read_parameters(function)), {}))
