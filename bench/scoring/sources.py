"""Where saliency maps come from: a registered explainer, a folder of precomputed maps, or the object boxes."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal
from typing import Protocol as Interface

import torch

from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from bench.core.explainer import Explainer, Learned, MapOrder, Passes
from bench.core.protocols import Hidden
from bench.core.seeds import forked_rng, seed_for
from bench.core.spec import Spec
from bench.data.maps import PrecomputedMaps
from bench.data.pixels import Geometry, cut_map


@dataclass(frozen=True)
class Item:
    """One image of the run, ready to be explained."""

    id: str
    digest: str
    image: torch.Tensor
    """(3, S, S) in [0, 1]."""
    label: int | None
    boxes: torch.Tensor | None
    """(n, 4) in pixels of `image`."""
    mask: torch.Tensor | None = None
    """(S, S) uint8: 0 background, 1 object, 255 to be ignored."""
    photograph: tuple[int, int] | None = None
    """Width and height of the image that `image` is made of, after EXIF rotation."""
    geometry: Geometry | None = None
    """How it is."""
    fills: dict[Hidden, torch.Tensor] = field(default_factory=dict, init=False, compare=False, repr=False)
    """What `Case.filled` has made of this image; one with other pixels (`dataclasses.replace`) starts with none."""


@dataclass(frozen=True)
class Target:
    """The class that a row explains, where rows of one table explain several."""

    choice: str
    """As in `Protocol.target`."""
    name: str
    """What labels call it."""


def labelled(label: str, target: Target | None) -> str:
    return label if target is None else f"{label}: {target.name}"


class ImageSet(Interface):
    """What a source may ask about the run's images before it starts."""

    @property
    def ids(self) -> Sequence[str]: ...

    @property
    def has_boxes(self) -> bool: ...


class Source(Interface):
    """A row of the leaderboard: raw maps for items, and the text that identifies them in content keys."""

    @property
    def label(self) -> str: ...

    @property
    def control(self) -> bool: ...

    @property
    def sees_boxes(self) -> bool: ...

    @property
    def order(self) -> MapOrder: ...

    @property
    def padded(self) -> bool: ...

    @property
    def layer(self) -> str | None:
        """Where the network is cut for this row; None for the run's own layer."""
        ...

    @property
    def target(self) -> Target | None:
        """The class that this row explains; None for the protocol's."""
        ...

    def key(self, item_id: str) -> str:
        """What identifies its maps, apart from layer and target, which keys hold by themselves."""
        ...

    def cost(self, classifier: Classifier) -> Passes: ...

    def learned(self, classifier: Classifier) -> Learned | None:
        """What its own weights were trained on, if it has any."""
        ...

    def helpers(self, classifier: Classifier) -> tuple[str, ...]:
        """Digests of the weights of further networks that help to make its maps."""
        ...

    def skip(self, classifier: Classifier, images: ImageSet) -> str | None:
        """Why this source cannot be scored on these images, or None. Raises UsageError for what must be mended."""
        ...

    def maps(
        self, classifier: Classifier, items: Sequence[Item], targets: torch.Tensor, run_seed: int
    ) -> torch.Tensor | Sequence[torch.Tensor]:
        """(B, h, w) raw maps of the items, on the classifier's device; a list where their shapes may differ."""
        ...


@dataclass(frozen=True)
class ExplainerSource:
    """Maps of a registered explainer with its parameters."""

    spec: Spec[Explainer]
    sees_boxes: bool = False
    layer: str | None = None
    target: Target | None = None

    @property
    def label(self) -> str:
        """`grad-cam(layer=layer3)`: the spec, with the layer among its parameters, and the class."""
        return labelled(self.spec.label_with(**({"layer": self.layer} if self.layer else {})), self.target)

    def cut(self, classifier: Classifier) -> Classifier:
        """The classifier at this row's layer."""
        return classifier.cut_at(self.layer) if self.layer else classifier

    @property
    def control(self) -> bool:
        return self.spec.value.control

    @property
    def order(self) -> MapOrder:
        return self.spec.value.map_order(**self.spec.params)

    @property
    def padded(self) -> bool:
        return self.spec.value.padded

    @cached_property
    def _key(self) -> str:
        explainer = self.spec.value
        library = f"{explainer.library} {importlib.metadata.version(explainer.library)}" if explainer.library else ""
        source = f"source {explainer.source}" if explainer.source else ""
        return " ".join(f"{self.spec.key} v{explainer.map_version(**self.spec.params)} {library} {source}".split())

    def key(self, item_id: str) -> str:
        return self._key

    def cost(self, classifier: Classifier) -> Passes:
        return self.spec.value.cost(self.cut(classifier), **self.spec.params)

    def learned(self, classifier: Classifier) -> Learned | None:
        return self.spec.value.learned(self.cut(classifier), **self.spec.params)

    def helpers(self, classifier: Classifier) -> tuple[str, ...]:
        return self.spec.value.helpers(self.cut(classifier), **self.spec.params)

    def skip(self, classifier: Classifier, images: ImageSet) -> str | None:
        return self.spec.value.skip(self.cut(classifier))

    def maps(self, classifier: Classifier, items: Sequence[Item], targets: torch.Tensor, run_seed: int) -> torch.Tensor:
        images = torch.stack([item.image for item in items])
        seeds = [seed_for(run_seed, item.digest, self.spec.key) for item in items]
        return self.explain(classifier, images, targets, seeds)

    def explain(
        self, classifier: Classifier, images: torch.Tensor, targets: torch.Tensor, seeds: Sequence[int]
    ) -> torch.Tensor:
        """Call the explainer, hold it to its contract and give it a random state that depends on content only."""
        keywords = dict(self.spec.params)
        if self.spec.value.seeded:
            keywords["seeds"] = torch.tensor(seeds, dtype=torch.int64)
        with forked_rng(seeds[0]), torch.enable_grad():
            maps = self.spec.value.function(self.cut(classifier), images, targets, **keywords)
        if not isinstance(maps, torch.Tensor) or maps.ndim != 3 or len(maps) != len(images) or 0 in maps.shape:
            shape = tuple(maps.shape) if isinstance(maps, torch.Tensor) else type(maps).__name__
            raise ValueError(f"{self.label} returned {shape}; an explainer returns a tensor ({len(images)}, h, w)")
        if maps.is_complex():
            raise ValueError(f"{self.label} returned complex numbers; maps are real")
        return maps.detach().float()


def layer_of(source: Source, classifier: Classifier) -> str:
    """Path of the layer at which a row is explained."""
    return classifier.cut_at(source.layer).layer if source.layer else classifier.layer


@dataclass(frozen=True)
class MapsSource:
    """Precomputed maps, one `.npy` per image id."""

    stored: PrecomputedMaps
    name: str
    control: bool = False
    sees_boxes: bool = False
    order: MapOrder = "positive"
    padded: bool = False
    layer: None = None
    target: Target | None = None

    @property
    def label(self) -> str:
        return labelled(self.name, self.target)

    def key(self, item_id: str) -> str:
        return f"maps v2 {self.stored.digest(item_id)}"

    def cost(self, classifier: Classifier) -> Passes:
        return Passes(0)

    def learned(self, classifier: Classifier) -> Learned | None:
        return None

    def helpers(self, classifier: Classifier) -> tuple[str, ...]:
        return ()

    def skip(self, classifier: Classifier, images: ImageSet) -> str | None:
        if missing := self.stored.missing(images.ids):
            raise UsageError(
                f"{self.stored.folder} lacks {len(missing)} of {len(images.ids)} maps, {missing[0]}.npy first; "
                "add them, or choose images with --limit"
            )
        return None

    def maps(
        self, classifier: Classifier, items: Sequence[Item], targets: torch.Tensor, run_seed: int
    ) -> Sequence[torch.Tensor]:
        return [shown(self.stored.load(item.id), item).to(classifier.device) for item in items]


def shown(saliency: torch.Tensor, item: Item) -> torch.Tensor:
    """What a stored map (h, w) says of the pixels that the net is shown: a map in the photograph's own pixels takes the
    way of the image; any other is of the crop already."""
    height, width = saliency.shape
    if item.geometry is None or (width, height) != item.photograph or saliency.shape == item.image.shape[1:]:
        return saliency
    return cut_map(saliency, item.geometry)


@dataclass(frozen=True)
class BoxMask:
    """Control of the harness that sees what no explainer may see: `box-oracle` is 1 inside the object boxes and 0
    outside, `box-context` the complement, the background without the object.

    Together they are the context study: how much of the class lies in the object, how much around it. Boxes that cover
    the whole image leave out one corner pixel, as Fake-CAM does, so that min-max keeps the ones.
    """

    name: Literal["box-oracle", "box-context"]
    control: bool = True
    sees_boxes: bool = True
    order: MapOrder = "as-is"
    padded: bool = False
    layer: None = None
    target: Target | None = None

    @property
    def label(self) -> str:
        return labelled(self.name, self.target)

    def key(self, item_id: str) -> str:
        return f"{self.name} v3"

    def cost(self, classifier: Classifier) -> Passes:
        return Passes(0)

    def learned(self, classifier: Classifier) -> Learned | None:
        return None

    def helpers(self, classifier: Classifier) -> tuple[str, ...]:
        return ()

    def skip(self, classifier: Classifier, images: ImageSet) -> str | None:
        return None if images.has_boxes else "the data set has no object boxes"

    def maps(self, classifier: Classifier, items: Sequence[Item], targets: torch.Tensor, run_seed: int) -> torch.Tensor:
        size = classifier.input_size
        masks = torch.zeros(len(items), size, size, device=classifier.device)
        for mask, item in zip(masks, items, strict=True):
            if item.boxes is None:
                continue
            for x0, y0, x1, y1 in item.boxes.int().clamp(0, size).tolist():
                mask[y0:y1, x0:x1] = 1
            if mask.all():
                mask[0, 0] = 0
            if self.name == "box-context":
                mask.neg_().add_(1)
        return masks
