"""One typed registry for everything that can be added: explainers, metrics, classifiers, data sets, protocols."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from bench.core.errors import UsageError, suggest
from bench.core.source import origin_of
from bench.core.spec import Entry, Spec, parse_spec, read_parameters

T = TypeVar("T")


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
        self._aliases: dict[str, str] = {}

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

    def alias(self, name: str, of: str) -> None:
        """Let `name` find the entry `of`, under whose name it stands in tables. Raises UsageError where it is taken."""
        if name in self._entries:
            raise UsageError(f"{self.kind} {name!r} is registered, so that it cannot stand for {of!r}")
        self._aliases[name] = of

    def __getitem__(self, name: str) -> Entry[T]:
        try:
            return self._entries[name if name in self._entries else self._aliases.get(name, name)]
        except KeyError:
            raise UsageError(f"unknown {self.kind} {name!r}; {suggest(name, self._entries)}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._aliases

    def __iter__(self) -> Iterator[Entry[T]]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def spec(self, text: str) -> Spec[T]:
        """Parse `name` or `name(key=value,…)`. Raises UsageError naming the right names, keys or types."""
        return parse_spec(text, self.kind, self.__getitem__)

    def load_entry_points(self) -> None:
        """Import what installed packages announce under this registry's entry-point group."""
        for point in importlib.metadata.entry_points(group=self.entry_points) if self.entry_points else ():
            try:
                point.load()
            except (Exception, SystemExit) as error:
                raise UsageError(
                    f"the installed plug-in {point.name!r} ({point.value}) cannot be imported: "
                    f"{type(error).__name__}: {' '.join(str(error).split())}; fix or uninstall it"
                ) from error


def caller_origin() -> str:
    frame = sys._getframe(2)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
