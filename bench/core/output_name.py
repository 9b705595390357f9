"""Names for what a network's numbers mean: see `bench.core.output`."""

from __future__ import annotations

from typing import Literal, get_args

OutputName = Literal["logits", "probabilities", "multi-label", "binary"]
OUTPUTS: tuple[OutputName, ...] = get_args(OutputName)
