"""A training that is stopped on the way, as by a key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from methods.training.loop import Training


@contextmanager
def interrupted(training: type[Training], step: int) -> Iterator[None]:
    """Inside, trainings of the class are interrupted before they take this step, the first being 1."""
    own, calls = training.take_step, 0

    def stops(self, batch):
        nonlocal calls
        calls += 1
        if calls == step:
            raise KeyboardInterrupt
        return own(self, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "take_step", stops)
        yield
