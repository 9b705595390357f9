"""One pass of the trunk for all explainers that ask for the same images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

SharedTrunkResult = tuple[Tensor, tuple[Tensor, ...]]


class SharedTrunk:
    """The last answer of a trunk, given again to whoever asks for the same images, bit by bit the same.

    Images are the same by their pixels and layout, whoever stacked them. Answers are copies, so that nobody sees what
    another does to its own; images that require a gradient always take a pass of their own.
    """

    def __init__(self, trunk: Callable[[Tensor], SharedTrunkResult]):
        self.trunk = trunk
        self.known: tuple[Tensor, SharedTrunkResult] | None = None

    def __call__(self, images: Tensor) -> SharedTrunkResult:
        if images.requires_grad:
            return self.trunk(images)
        if self.known is None or not same(images, self.known[0]):
            self.known = None  # the old answer's memory serves the new one
            self.known = images.clone(), self.trunk(images)
        A, rest = self.known[1]
        return A.clone(), tuple(tensor.clone() for tensor in rest)


def same(images: Tensor, others: Tensor) -> bool:
    """Equal in dtype, layout and every pixel."""
    return images.dtype == others.dtype and images.stride() == others.stride() and torch.equal(images, others)


class TrunkSharing:
    """A trunk that may be shared for a while."""

    def __init__(self, trunk: Callable[[Tensor], SharedTrunkResult]):
        self.own = trunk
        self.now = trunk

    def __call__(self, images: Tensor) -> SharedTrunkResult:
        return self.now(images)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Inside the block all who ask for the same images, one after the other, share one pass."""
        with self.replaced(SharedTrunk(self.own)):
            yield

    @contextmanager
    def off(self) -> Iterator[None]:
        """Inside the block everybody takes a pass of their own, as when parameters change."""
        with self.replaced(self.own):
            yield

    @contextmanager
    def replaced(self, trunk: Callable[[Tensor], SharedTrunkResult]) -> Iterator[None]:
        before, self.now = self.now, trunk
        try:
            yield
        finally:
            self.now = before
