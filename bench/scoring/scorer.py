"""The scorer answers what metrics ask of the classifier, in full batches of one fixed shape."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from bench.core.classifier import Classifier
from bench.core.perturb import resized


class Scorer:
    """Full vectors of log-probabilities for streams of derived images; a network that takes images of another size is
    shown them resized.

    Every forward has the shape (batch, 3, S, S), the last one padded, so that a row does not depend on how much was
    asked at once; derived images are made while the buffer fills, so memory stays bounded whatever the stream's length.
    """

    def __init__(self, classifier: Classifier, batch: int):
        self.classifier = classifier
        size = classifier.input_size
        blank = torch.zeros(batch, 3, size, size, device=classifier.device, dtype=classifier.dtype)
        self.buffer = blank.to(memory_format=classifier.precision.layout)

    @torch.inference_mode()
    def score(self, stream: Iterable[torch.Tensor]) -> torch.Tensor:
        """(n, 3, H, H) blocks of images in [0, 1] to (Σ n, C) float64 log-probabilities on the CPU.

        Nothing waits for the device before the stream has ended.
        """
        logits, filled, batch = [], 0, len(self.buffer)
        for block in stream:
            for start in cuts(len(block), batch - filled, batch):
                part = resized(block[start : start + batch - filled], self.classifier.input_size)
                self.buffer[filled : filled + len(part)] = part
                filled += len(part)
                if filled == batch:
                    logits.append(self.classifier.score(self.buffer))
                    filled = 0
        if filled:
            self.buffer[filled:] = self.buffer[filled - 1]
            logits.append(self.classifier.score(self.buffer)[:filled])
        if not logits:
            return torch.zeros(0, self.classifier.num_classes, dtype=torch.float64)
        return self.classifier.output.log_probabilities(torch.cat(logits).cpu().double())


def cuts(length: int, room: int, batch: int) -> list[int]:
    """Where the parts of a block begin, the first of which fills the room left and every further one a batch."""
    return [0, *range(room, length, batch)] if length else []
