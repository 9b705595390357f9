"""One typed registry for everything that can be added: explainers, metrics, classifiers, data sets, protocols."""

from __future__ import annotations

import difflib
import importlib.metadata
import importlib.util
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import torch

from bench.core.errors import ENDS, UsageError, foreign, reason
from bench.core.paths import user_path
from bench.core.ranges import FINITE, Range
from bench.core.source import neighbours

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
        parameters = self.entry.parameters
        return self._render({k: v for k, v in sorted(self.given.items()) if v != parameters[k].default})

    @property
    def key(self) -> str:
        """The spec with every parameter written out, save a `LATER` one at its default: the same for two texts that
        mean the same, for content keys."""
        parameters = self.entry.parameters
        written = {k: v for k, v in self.params.items() if not (parameters[k].later and v == parameters[k].default)}
        return self._render(dict(sorted(written.items())))

    def _render(self, params: Mapping[str, Any]) -> str:
        return self.name + (f"({','.join(f'{k}={render(v)}' for k, v in params.items())})" if params else "")


class Registry(Generic[T]):
    """Names mapped to entries of one kind.

    >>> colours: Registry[str] = Registry("colour")
    >>> colours.add("red", "#f00")
    '#f00'
    >>> colours.spec("red").value
    '#f00'
    """

    def __init__(self, kind: str, entry_points: str | None = None):
        self.kind = kind
        self.entry_points = entry_points
        self._entries: dict[str, Entry[T]] = {}

    def add(self, name: str, value: T, *, signature_of: Callable[..., Any] | None = None, origin: str = "") -> T:
        """Register `value`; the keyword-only arguments of `signature_of` become its typed parameters.

        Raises UsageError when the name is taken (both origins are named) or is not lower case with hyphens
        (metrics and classifiers, whose names are given by the field, may use other letters).
        """
        origin = origin or (origin_of(signature_of) if signature_of else caller_origin())
        if name in self._entries and self._entries[name].origin != origin:
            raise UsageError(
                f"{self.kind} {name!r} is registered twice: {self._entries[name].origin} and {origin}; rename one"
            )
        if not re.fullmatch(r"[^\s,()=]+", name):
            raise UsageError(f"{self.kind} name {name!r} ({origin}) may not hold spaces, commas, '(', ')' or '='")
        parameters = read_parameters(signature_of) if signature_of else {}
        self._entries[name] = Entry(name, value, origin, parameters)
        return value

    def __getitem__(self, name: str) -> Entry[T]:
        try:
            return self._entries[name]
        except KeyError:
            raise UsageError(f"unknown {self.kind} {name!r}; {suggest(name, self._entries)}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[Entry[T]]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def spec(self, text: str) -> Spec[T]:
        """Parse `name` or `name(key=value,…)`. Raises UsageError naming the right names, keys or types."""
        match = re.fullmatch(r"\s*([^\s(]+)\s*(?:\((.*)\))?\s*", text, re.DOTALL)
        if not match:
            raise UsageError(f"cannot read {self.kind} {text!r}; write name or name(key=value,…)")
        entry = self[match[1]]
        given: dict[str, Any] = {}
        for item in split_list(match[2] or ""):
            key, equals, value = (part.strip() for part in item.partition("="))
            if not equals or key not in entry.parameters:
                allowed = "; ".join(map(str, entry.parameters.values())) or "none"
                raise UsageError(f"{self.kind} {entry.name!r} has no parameter {key!r}; it takes: {allowed}")
            if key in given:
                raise UsageError(f"{self.kind} {entry.name!r}: parameter {key!r} is given twice in {text!r}")
            try:
                given[key] = entry.parameters[key].convert(value)
            except ValueError as error:
                raise UsageError(
                    f"{self.kind} {entry.name!r}: {key}={value!r} {error}; the parameter is {entry.parameters[key]}"
                ) from None
        return Spec(entry, given)

    def load_entry_points(self) -> None:
        """Import what installed packages announce under this registry's entry-point group."""
        for point in importlib.metadata.entry_points(group=self.entry_points) if self.entry_points else ():
            try:
                point.load()
            except (Exception, SystemExit) as error:
                raise UsageError(
                    f"the installed plug-in {point.name!r} ({point.value}) cannot be imported: "
                    f"{type(error).__name__}: {' '.join(str(error).split())}; mend or uninstall it"
                ) from error


def load_file(path: str | Path) -> types.ModuleType:
    """Import a Python file by path, once; its folder can be imported from, as for a script.

    Raises UsageError when it is missing, fails on import, or would get another file's module for a neighbour.
    """
    path = user_path(path).resolve()
    name = "cambench_file_" + re.sub(r"\W", "_", str(path))
    if name in sys.modules:
        return sys.modules[name]
    if not path.is_file():
        raise UsageError(f"no such Python file: {path}")
    module_spec = importlib.util.spec_from_file_location(name, path)
    if module_spec is None or module_spec.loader is None:
        raise UsageError(f"{path} is not a Python file (its name must end in .py)")
    refuse_other_neighbours(path)
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    gradients = torch.is_grad_enabled()
    try:
        module_spec.loader.exec_module(module)
        torch.set_grad_enabled(gradients)
    except UsageError:
        del sys.modules[name]
        raise
    except ENDS as error:
        del sys.modules[name]
        if not foreign(error):
            raise
        hint = "; import its neighbours without the dot" if "relative import" in str(error) else ""
        raise UsageError(f"{path} cannot be imported: {reason(error)}{hint}") from error
    return module


def refuse_other_neighbours(path: Path) -> None:
    """Raises UsageError where a neighbour that the file imports would be a module of the same name from elsewhere."""
    for file in neighbours(path):
        name = file.parent.name if file.stem == "__init__" else file.stem
        loaded = getattr(sys.modules.get(name), "__file__", None)
        if loaded and file.parent in (path.parent, path.parent / name) and Path(loaded).resolve() != file:
            raise UsageError(f"{path} imports {name!r}, but {loaded} has that name already; rename {file.name}")


def split_list(text: str) -> list[str]:
    """Split at commas outside parentheses: `a,b(c=1,d=2)` gives two items; empty items are dropped."""
    items, depth, start = [], 0, 0
    for position, character in enumerate(text):
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


def render(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def type_name(kind: Any) -> str:
    origin = typing.get_origin(kind)
    if origin is Literal:
        return "|".join(render(choice) for choice in typing.get_args(kind))
    if origin in (typing.Union, types.UnionType):
        return "|".join(type_name(option) for option in typing.get_args(kind))
    return "none" if kind is type(None) else getattr(kind, "__name__", str(kind))


def suggest(name: str, known: Mapping[str, Any] | list[str]) -> str:
    """`did you mean …?` where something is near, else the known names."""
    names = sorted(known)
    near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    shown = ", ".join(names[:40]) + (", …" if len(names) > 40 else "")
    return f"known: {shown}" if names else "none is registered"


def origin_of(function: Callable[..., Any]) -> str:
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(function)


def caller_origin() -> str:
    frame = sys._getframe(2)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
