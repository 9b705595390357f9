"""Maps of a few images, without a run: `explain`."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from bench.api.images import Picture, as_items
from bench.api.methods import Method, all_sources
from bench.core import protocols
from bench.core.classifier import Classifier
from bench.core.dataset import Dataset
from bench.core.errors import UsageError
from bench.plugins import register
from bench.run.targets import target_class
from bench.scoring.evaluate import ScoringContext, choose_targets
from bench.scoring.normalise import normalise
from bench.scoring.scorer import Scorer
from bench.scoring.sources import Item, Source

BATCH = 20
COLOURS = "inferno"
"""A map of colours that is even for the eye, also for the colour-blind."""

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Explanation:
    """One method's map of one image. It shows itself in a notebook."""

    method: str
    image_name: str
    image: Array
    """(S, S, 3) in [0, 1]: the image as the network saw it."""
    map: Array
    """(S, S) in [0, 1], normalised as the protocol says."""
    raw: Array
    """(h, w), signed, as the method gave it."""
    target: int
    label: str
    """Name of the explained class."""
    probability: float
    """Of the explained class, for the whole image."""

    def overlay(self, opacity: float = 0.5) -> Image.Image:
        """The map in colours over the image."""
        from matplotlib import colormaps

        colours = colormaps[COLOURS](self.map)[..., :3]
        mixed = (1 - opacity) * self.image + opacity * colours
        return Image.fromarray((mixed.clip(0, 1) * 255).round().astype(np.uint8))

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.overlay().save(buffer, "png")
        return buffer.getvalue()

    def __repr__(self) -> str:
        return f"Explanation({self.method} of {self.image_name}: {self.label}, p = {self.probability:.3f})"


def explain(
    classifier: Classifier,
    images: Picture | Sequence[Picture],
    methods: Method | Sequence[Method] = "grad-cam",
    *,
    target: str | int = "predicted",
    labels: Sequence[int] | None = None,
    protocol: str = "clean",
    seed: int = 0,
) -> Any:
    """Maps of images, by the code that a run uses.

    Args:
        images: a path, PIL image, array (H, W, 3) of uint8 or floats in [0, 1], tensor (3, H, W) of floats in [0, 1],
            or several of them, also as one batch.
        methods: a spec such as `"opti-cam(steps=50)"`, a function (classifier, images, targets) -> maps, or several.
        target: `"predicted"`, `"least"`, `"true"` (then `labels` are needed), a class's name or index.
        labels: true classes by index, one per image.

    Returns:
        An Explanation; a list of them, image by image, where several images or methods are given.

    Raises UsageError for what is unknown or no image, and Skip where a method does not apply to the network.

    >>> net = load_classifier("efficientnet_lite0")
    >>> e = explain(net, np.zeros((224, 224, 3), dtype=np.uint8), "grad-cam")
    >>> e.map.shape, e.raw.shape
    ((224, 224), (7, 7))
    """
    register()
    chosen = protocols.protocol(protocol)
    named = target_class(str(target), Dataset("the images", ()), classifier)
    chosen = dataclasses.replace(chosen, target=named)
    items = as_items(images, classifier, chosen)
    if labels is not None:
        items = [dataclasses.replace(item, label=int(label)) for item, label in zip(items, labels, strict=True)]
    if named == "true" and labels is None:
        raise UsageError("target 'true' needs labels=, a class index for each image")
    sources = all_sources(methods, chosen)
    context = ScoringContext(classifier, chosen, seed, min(BATCH, max(1, len(items))))
    by_source = [explained(context, source, items) for source in sources]
    found = [explanation for together in zip(*by_source, strict=True) for explanation in together]
    single = len(items) == 1 and len(sources) == 1 and not isinstance(images, list | tuple)
    return found[0] if single and isinstance(methods, str) or single and callable(methods) else found


def explained(context: ScoringContext, source: Source, items: Sequence[Item]) -> list[Explanation]:
    """One method's explanations of all images, chunk by chunk."""
    found = []
    for start in range(0, len(items), context.batch):
        found += explained_chunk(context, source, items[start : start + context.batch])
    return found


def explained_chunk(context: ScoringContext, source: Source, items: Sequence[Item]) -> list[Explanation]:
    net = context.classifier
    log_p = Scorer(net.exact, context.batch).score([item.image[None] for item in items])
    targets = choose_targets(log_p, items, context.protocol.target)
    raw = source.maps(net, items, targets.to(net.device), context.run_seed)
    maps, _ = normalise(raw, net.input_size, context.order(source), context.protocol.area)
    return [
        Explanation(source.label, item.id, array(item.image.permute(1, 2, 0)), array(saliency), array(own), int(target),
                    net.classes[int(target)], float(row[target].exp()))
        for item, saliency, own, target, row in zip(items, maps, raw, targets, log_p, strict=True)
    ]  # fmt: skip


def array(tensor: torch.Tensor) -> Array:
    return tensor.detach().float().cpu().numpy()
