"""Weighted sums of losses or regularisers, as the command line writes them: `ce=1.5,area-band(low=0.2,high=0.4)=2`."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Generic, TypeVar

from bench.core.errors import UsageError
from bench.core.registry import Registry
from bench.core.spec import Spec, split_list

T = TypeVar("T")


@dataclass(frozen=True)
class Term(Generic[T]):
    """A weight times an entry with parameters."""

    weight: float
    spec: Spec[T]

    @property
    def label(self) -> str:
        return self.spec.label


def parse_terms(text: str, registry: Registry[T]) -> tuple[Term[T], ...]:
    """`name`, `name=weight` or `name(key=value,…)=weight`, by commas; a weight that is not given is 1.

    Raises UsageError for unknown names, parameters and weights, and for a term that comes twice.
    """
    terms = tuple(parse_term(item, registry) for item in split_list(text))
    for label, count in Counter(term.label for term in terms).items():
        if count > 1:
            raise UsageError(f"{registry.kind} {label} is given {count} times; add up the weights")
    return terms


def parse_term(text: str, registry: Registry[T]) -> Term[T]:
    match = re.fullmatch(r"([^(=]+(?:\(.*\))?)(?:=(.*))?", text, re.DOTALL)
    if not match:
        raise UsageError(f"cannot read {registry.kind} {text!r}; write name=weight or name(key=value,…)=weight")
    try:
        weight = float(match[2] or 1)
    except ValueError:
        raise UsageError(f"the weight of {registry.kind} {match[1]!r} must be a number, not {match[2]!r}") from None
    return Term(weight, registry.spec(match[1]))
