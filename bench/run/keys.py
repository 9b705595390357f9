"""Content keys: what identifies a stored row, whoever computes it, wherever and whenever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import torch

from bench.core.dataset import Sample
from bench.core.seeds import content_hash
from bench.data.pixels import geometry
from bench.run.request import Request
from bench.scoring.sources import Source, layer_of


class ContentKeys:
    """The keys of a request's rows. They hold what can change a number, never rank, order, batch or world size.

    Keys of a list of images are computed once per source and image.
    """

    def __init__(self, request: Request):
        net, protocol = request.classifier, request.protocol
        self.request = request
        facts = (net.name, net.digest, net.input_size, net.interpolation, net.mean.tolist(), net.std.tolist(),
                 net.dtype, protocol.pixels, torch.__version__, *net.key)  # fmt: skip
        self._network = [str(fact) for fact in facts]
        self._rows: dict[str, list[str]] = {}
        self._clean: dict[str, str] = {}
        self._scores: dict[str, dict[str, str]] = {}

    def clean(self, digest: str, size: tuple[int, int] | None = None) -> str:
        """Key of the untouched image's log-probabilities; `digest` is the sha256 of the image file, `size` its width
        and height. Only where the protocol's rule for images of the network's own size matters is it part of the key.
        """
        net, protocol = self.request.classifier, self.request.protocol
        ways = (geometry(*size, protocol.pixels, net.input_size, rule) for rule in ("resized", "as-is")) if size else ()
        kept = ("own size",) if protocol.own_size == "as-is" and len(set(ways)) > 1 else ()
        return content_hash("clean", digest, *self._network, *kept)

    def score(
        self,
        source: Source,
        sample: Sample,
        digest: str,
        size: tuple[int, int] | None = None,
        clean: str | None = None,
    ) -> str:
        """Key of a row of scores: one source on an image as annotated; `digest` and `size` as in `clean`, whose value
        is given where it is known."""
        request, net = self.request, self.request.classifier
        untouched = self.clean(digest, size) if clean is None else clean
        layer, protocol, *learned = self.row(source)
        return content_hash(
            "scores", untouched, layer, source.key(sample.id), request.context.order(source),
            protocol, request.seed, sample.annotation, *learned, *net.scoring_key,
        )  # fmt: skip

    def row(self, source: Source) -> list[str]:
        """What all images of a source share: layer, protocol and, where it has weights of its own, their digest. A row
        of another layer or class has the keys of a run at that layer or of that class."""
        if source.label not in self._rows:
            learned = source.learned(self.request.classifier)
            layer, protocol = layer_of(source, self.request.classifier), self.request.context.rules(source)
            helpers = source.helpers(self.request.classifier)
            self._rows[source.label] = [layer, protocol.key, *([learned.digest] if learned else []), *helpers]
        return self._rows[source.label]

    def clean_keys(self, table: pd.DataFrame) -> list[str]:
        """Of rows of the list of images, in their order."""
        return kept(self._clean, table, lambda row: self.clean(row.digest, size_of(row)))

    def score_keys(self, source: Source, table: pd.DataFrame, samples: dict[str, Sample]) -> list[str]:
        """Of a source on rows of the list of images, in their order; `samples` by id."""
        known = self._scores.setdefault(source.label, {})
        self.clean_keys(table)
        return kept(
            known,
            table,
            lambda row: self.score(source, samples[row.id], row.digest, size_of(row), self._clean[row.id]),
        )


def kept(known: dict[str, str], table: pd.DataFrame, key: Callable[[Any], str]) -> list[str]:
    """The keys of rows of the list of images, in their order; `known` receives those that it lacks."""
    images = table.id.tolist()
    if not known.keys() >= set(images):
        known.update({row.id: key(row) for row in table.itertuples() if row.id not in known})
    return [known[image] for image in images]


def size_of(row: Any) -> tuple[int, int]:
    """Width and height of a row of the list of images."""
    return int(row.width), int(row.height)
