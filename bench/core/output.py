"""What a network's numbers mean: how they become logits, and logits log-probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.errors import UsageError, suggest
from bench.core.output_name import OUTPUTS, OutputName

SUM_TOLERANCE = 1e-3
"""Rows of probabilities in half precision sum to 1 up to this."""


def same(answers: Tensor) -> Tensor:
    return answers


def pair(logit: Tensor) -> Tensor:
    """(B, 1) logits y of one class against the rest to (B, 2): −y/2 and y/2, whose softmax is 1 − σ(y) and σ(y)."""
    return torch.cat([-logit, logit], 1) / 2


def logarithm(probabilities: Tensor) -> Tensor:
    """log p, finite also where p has underflowed to 0."""
    return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()


def log_odds(probabilities: Tensor) -> Tensor:
    """log p / (1 − p), finite at both ends."""
    return logarithm(probabilities) - logarithm(1 - probabilities)


def softmax_link(logits: Tensor) -> Tensor:
    return logits.log_softmax(1)


@dataclass(frozen=True)
class Output:
    """The way from what a network gives, (B, C') numbers, to logits (B, C) and from these to log-probabilities (B, C).

    `logits`: softmax over the classes. `multi-label`: p_c = σ(y_c), class by class. `binary`: one logit y, two classes
    with p = σ(y) for index 1 and 1 − p for index 0. `probabilities`: rows that sum to 1 have log p as their logits;
    other rows are probabilities of classes that do not exclude each other, one column is p of index 1.
    """

    name: OutputName = "logits"
    logits: Callable[[Tensor], Tensor] = same
    """Differentiable; explainers take gradients of it."""
    log_probabilities: Callable[[Tensor], Tensor] = softmax_link

    @property
    def raw(self) -> bool:
        """Whether logits are the network's own numbers."""
        return self.logits is same

    @property
    def exclusive(self) -> bool:
        """Whether the probabilities of the classes sum to 1."""
        return self.log_probabilities is softmax_link


LOGITS = Output()
MULTI_LABEL = Output("multi-label", same, F.logsigmoid)
BINARY = Output("binary", pair)


def of_probabilities(answers: Tensor) -> Output:
    if answers.shape[1] == 1:
        return Output("probabilities", lambda p: pair(log_odds(p)))
    if sums_to_one(answers):
        return Output("probabilities", logarithm)
    return Output("probabilities", log_odds, F.logsigmoid)


def within(answers: Tensor) -> bool:
    """Whether all numbers lie in [0, 1]."""
    return bool(((answers >= 0) & (answers <= 1)).all())


def sums_to_one(answers: Tensor) -> bool:
    return within(answers) and bool(((answers.double().sum(1) - 1).abs() <= SUM_TOLERANCE).all())


def output_name(text: str) -> OutputName:
    """Raises UsageError for a name that is none of the four."""
    for name in OUTPUTS:
        if text == name:
            return name
    raise UsageError(f"output {text!r} is unknown; {suggest(text, list(OUTPUTS))}")


def read_output(name: str | None, answers: Tensor, net: str) -> Output:
    """The output of a net by the name that its owner states, or logits where nothing is stated.

    `answers` (B, C') are what the net gives for some images. Raises UsageError where they contradict the statement, and
    where nothing is stated and they are no logits over classes that exclude each other: one column, or rows of
    probabilities.
    """
    columns = answers.shape[1]
    if name is None:
        if columns == 1:
            raise UsageError(
                f"{net} gives one number per image, whose softmax is always 1; say what it means: "
                "--output binary for a logit, --output probabilities for a probability (two classes, p and 1 − p)"
            )
        if sums_to_one(answers):
            raise UsageError(
                f"{net} gives numbers in [0, 1] that sum to 1 for every image: probabilities, it seems, not logits; "
                "say so with --output probabilities (or --output logits if they are)"
            )
        return LOGITS
    stated = output_name(name)
    if stated == "binary" and columns != 1:
        raise UsageError(
            f"output binary means one logit, but {net} gives {columns} numbers; state logits or multi-label"
        )
    if stated in ("logits", "multi-label") and columns == 1:
        raise UsageError(f"output {stated} needs several classes, but {net} gives one number; state binary")
    if stated == "probabilities" and not within(answers):
        raise UsageError(f"output probabilities: {net} gives numbers outside [0, 1]; state logits or multi-label")
    known = {"logits": LOGITS, "multi-label": MULTI_LABEL, "binary": BINARY}
    return known[stated] if stated in known else of_probabilities(answers)
