"""Typed parameters of what a user names, and the language in which they are written: `opti-cam(steps=100)`."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from bench.core.errors import UsageError
from bench.core.ranges import FINITE, Range
from bench.core.source import origin_of

T = TypeVar("T")

RESERVED = frozenset({"seeds"})  # keyword arguments that the harness fills, never the user

LATER: Final = "later"
"""Marks a parameter that came when rows were stored already, as in `gamma: Annotated[float, LATER] = 1.0`: at its
default it is left out of keys, which so stay what they were."""


@dataclass(frozen=True)
class Parameter:
    """A typed keyword of an entry: its name, its annotation and its default."""

    name: str
    type: Any
    default: Any
    later: bool = False
    range: Range | None = None
    """The numbers that it may be; None leaves it to the explainer, save that a float is always finite."""

    def __str__(self) -> str:
        allowed = f" ({self.range})" if self.range else ""
        return f"{self.name}: {type_name(self.type)} = {render(self.default)}{allowed}"

    def convert(self, text: str) -> Any:
        """The value that `text` stands for. Raises ValueError, with what is wrong, when it is not of the parameter's
        type or outside its range."""
        try:
            value = convert(text, self.type)
        except (ValueError, OverflowError):
            raise ValueError(f"is not {type_name(self.type)}") from None
        allowed = self.range or FINITE
        if isinstance(value, float | int) and not isinstance(value, bool) and value not in allowed:
            raise ValueError(f"must be {allowed}")
        return value


@dataclass(frozen=True)
class Entry(Generic[T]):
    """What a registry holds under one name, with the file and line that put it there."""

    name: str
    value: T
    origin: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True)
class Spec(Generic[T]):
    """An entry with parameters, as the user writes it: `opti-cam(steps=100)`."""

    entry: Entry[T]
    given: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def value(self) -> T:
        return self.entry.value

    @property
    def params(self) -> dict[str, Any]:
        """Every parameter, defaults included."""
        return {name: self.given.get(name, parameter.default) for name, parameter in self.entry.parameters.items()}

    @property
    def label(self) -> str:
        """Shortest text that parses back to this spec: parameters at their default are left out."""
        return self.label_with()

    def label_with(self, **more: Any) -> str:
        """The label with further parameters, which are not the entry's own."""
        parameters = self.entry.parameters
        told = {k: v for k, v in self.given.items() if v != parameters[k].default} | more
        return self._render(dict(sorted(told.items())))

    @property
    def key(self) -> str:
        """The spec with every parameter written out, save a `LATER` one at its default: the same for two texts that
        mean the same, for content keys."""
        parameters = self.entry.parameters
        written = {k: v for k, v in self.params.items() if not (parameters[k].later and v == parameters[k].default)}
        return self._render(dict(sorted(written.items())))

    def _render(self, params: Mapping[str, Any]) -> str:
        return self.name + (f"({','.join(f'{k}={render(v)}' for k, v in params.items())})" if params else "")


def parse_spec(text: str, kind: str, find: Callable[[str], Entry[T]]) -> Spec[T]:
    """The spec that `name` or `name(key=value,…)` stands for; `find` gives the entry of a name, and `kind` is what
    messages call it. Raises UsageError naming the right keys or types."""
    match = re.fullmatch(r"\s*([^\s(]+)\s*(?:\((.*)\))?\s*", text, re.DOTALL)
    if not match:
        raise UsageError(f"cannot read {kind} {text!r}; write name or name(key=value,…)")
    entry = find(match[1])
    given: dict[str, Any] = {}
    for item in split_list(match[2] or ""):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals or key not in entry.parameters:
            allowed = "; ".join(map(str, entry.parameters.values())) or "none"
            raise UsageError(f"{kind} {entry.name!r} has no parameter {key!r}; it takes: {allowed}")
        if key in given:
            raise UsageError(f"{kind} {entry.name!r}: parameter {key!r} is given twice in {text!r}")
        try:
            given[key] = entry.parameters[key].convert(unquoted(value))
        except ValueError as error:
            raise UsageError(
                f"{kind} {entry.name!r}: {key}={value!r} {error}; the parameter is {entry.parameters[key]}"
            ) from None
    return Spec(entry, given)


def split_list(text: str) -> list[str]:
    """Split at commas outside parentheses and quoted values: `a,b(c=1,d="2,3")` gives two items; empty ones are
    dropped. A value may stand in single quotes as well."""
    items, depth, quote, start = [], 0, "", 0
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character == '"' or (character == "'" and text[:position].rstrip().endswith("=")):  # not Bob's
            quote = character
        else:
            depth += (character == "(") - (character == ")")
            if character == "," and depth == 0:
                items.append(text[start:position])
                start = position + 1
    items.append(text[start:])
    return [item.strip() for item in items if item.strip()]


def read_parameters(function: Callable[..., Any]) -> dict[str, Parameter]:
    """The keyword-only arguments of `function` that a user may set; each needs an annotation and a default."""
    hints = typing.get_type_hints(function)
    marked = typing.get_type_hints(function, include_extras=True)
    parameters = {}
    for name, argument in inspect.signature(function).parameters.items():
        if argument.kind is not argument.KEYWORD_ONLY or name in RESERVED:
            continue
        if argument.default is argument.empty or name not in hints:
            raise UsageError(f"parameter {name!r} of {origin_of(function)} needs a type and a default")
        marks = marked[name].__metadata__ if typing.get_origin(marked[name]) is Annotated else ()
        allowed = next((mark for mark in marks if isinstance(mark, Range)), None)
        parameters[name] = Parameter(name, hints[name], argument.default, LATER in marks, allowed)
    return parameters


def convert(text: str, kind: Any) -> Any:
    """`text` as a value of the annotation `kind`: bool, int, float, str, Path, Literal or a union of them."""
    origin = typing.get_origin(kind)
    if origin is Literal:
        for choice in typing.get_args(kind):
            if render(choice) == text:
                return choice
        raise ValueError(text)
    if origin in (typing.Union, types.UnionType):
        for option in typing.get_args(kind):
            try:
                return convert(text, option)
            except ValueError:
                continue
        raise ValueError(text)
    if kind is type(None):
        if text.lower() == "none":
            return None
        raise ValueError(text)
    if kind is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise ValueError(text)
    return kind(text)


def unquoted(text: str) -> str:
    """The text without the quotes around it, which protect commas."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def render(value: Any) -> str:
    if isinstance(value, str) and "," in value:
        return f'"{value}"'
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def type_name(kind: Any) -> str:
    origin = typing.get_origin(kind)
    if origin is Literal:
        return "|".join(render(choice) for choice in typing.get_args(kind))
    if origin in (typing.Union, types.UnionType):
        return "|".join(type_name(option) for option in typing.get_args(kind))
    return "none" if kind is type(None) else getattr(kind, "__name__", str(kind))
