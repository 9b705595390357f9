"""Images passed through a network, counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor


@dataclass
class Tally:
    """Images passed while the tally ran."""

    forward: int = 0
    """Through the whole net, or through the trunk."""
    backward: int = 0
    """Rows of logits from which a gradient was asked."""
    head: int = 0
    """Through the head alone, by `Classifier.head`."""


class Meter:
    """Adds to the tally that runs, if one does; passes tensors on."""

    def __init__(self) -> None:
        self.tally: Tally | None = None

    @contextmanager
    def running(self) -> Iterator[Tally]:
        """Count what passes inside the block."""
        before, self.tally = self.tally, Tally()
        try:
            yield self.tally
        finally:
            self.tally = before

    def forward(self, images: Tensor) -> Tensor:
        """Images that enter the net."""
        if self.tally is not None:
            self.tally.forward += images.shape[0]
        return images

    def head(self, maps: Tensor) -> Tensor:
        """Maps that enter the head."""
        if self.tally is not None:
            self.tally.head += maps.shape[0]
        return maps

    def backward(self, logits: Tensor) -> Tensor:
        """Logits from which a gradient may be asked."""
        tally = self.tally
        if tally is not None and logits.requires_grad:

            def count(gradient: Tensor) -> None:
                tally.backward += gradient.shape[0]

            logits.register_hook(count)
        return logits
