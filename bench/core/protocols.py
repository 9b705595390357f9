"""Protocols: frozen, named values that fix everything a score depends on besides image, classifier and map."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from bench.core.errors import UsageError, suggest
from bench.core.ranges import at_least, within
from bench.core.registry import Registry
from bench.core.spec import convert, split_list, type_name

Pixels = Literal["resize-crop", "fit-crop", "squash"]
Fill = Literal["black", "mean", "blur-11-5", "blur-5-5", "noise"]
Hidden = Literal[Fill, "imputed"]
Maps = Literal["positive", "two-step", "up-then-min-max", "min-max-then-up", "bicubic", "as-is", "paper"]
Boxes = Literal["clipped", "unclipped"]
OwnSize = Literal["as-is", "resized"]
Axes = Literal["right", "swapped"]
Ties = Literal["seeded", "argsort"]

RANKED = ("predicted", "second", "third")
"""The network's likeliest classes of an image, in its order."""
TARGETS = ("true", *RANKED, "least")
STEPS = within(1, 4096**2)
"""Pixels of the largest input. A step changes one pixel at least, so a network's own input sets the limit later."""

AREA = within(0, 0.99)


@dataclass(frozen=True)
class Protocol:
    """One way to score. A table never mixes two; changing a field renames it (`clean+target=true`)."""

    name: str
    pixels: Pixels = "resize-crop"
    """At input size s: short side to s·256/224 and centre crop s; short side to s and centre crop; squash to s × s."""
    own_size: OwnSize = "as-is"
    """An image of exactly s × s pixels: kept as it is, or resized as any other."""
    target: str = "predicted"
    """Class that is explained: `true` label, `predicted`, `second` or `third` in the network's order, `least` probable,
    or a class index."""
    masked_out: Fill = "black"
    """What stands where the soft mask is 0 (AD, AG, AI)."""
    insertion_start: Hidden = "blur-11-5"
    """What stands where no pixel is put in yet; `imputed` solves for it from the pixels that are there."""
    deletion_end: Hidden = "black"
    """What stands where pixels were taken away, likewise."""
    steps: int = 28
    """Equal steps of the insertion and deletion curves, which have one point more."""
    maps: Maps = "positive"
    """Raw map to [0, 1]: see `bench.scoring.normalise`; `paper` takes each explainer's own order."""
    boxes: Boxes = "clipped"
    """Ground-truth boxes, in whole pixels by truncation: `clipped` to the crop, those outside dropped; or `unclipped`,
    at the unrounded scale and offset of the localisation code of CASM (Zolna et al. 2020), outside pixels and all."""
    axes: Axes = "right"
    """`swapped` reads a box's columns as rows in the pointing games, and a negative start from the far end, as the
    released code behind the Opti-CAM tables does."""
    ties: Ties = "seeded"
    """Order of tied pixels in insertion and deletion: `seeded` shuffles them, alike for every explainer; `argsort` is
    that of NumPy's unstable sort, flipped, as in the released code of RISE and Opti-CAM. It may depend on NumPy."""
    area: float = 0.0
    """Mean to which every normalised map is brought, by a power of its values, so that AD, AG and AI measure where a
    map points and not how much it shows; 0 leaves maps as they are."""
    max_passes: int = 0
    """Cap on an explainer's passes per image; 0 for none."""
    note: str = ""
    """Printed under every table."""
    paper: str = ""

    def __post_init__(self) -> None:
        if self.target not in TARGETS and not self.target.isdecimal():
            raise UsageError(f"target must be {', '.join(TARGETS)} or a class index, not {self.target!r}")
        STEPS.check("protocol field steps", self.steps)
        AREA.check("protocol field area", self.area)
        at_least(0).check("protocol field max_passes", self.max_passes)

    def with_fields(self, **changes: str) -> Protocol:
        """A protocol with some fields changed, renamed so that nobody takes it for the original."""
        kinds = {"pixels": Pixels, "own_size": OwnSize, "target": str, "masked_out": Fill, "insertion_start": Hidden,
                 "deletion_end": Hidden, "steps": int, "maps": Maps, "boxes": Boxes, "axes": Axes, "ties": Ties,
                 "max_passes": int, "area": float}  # fmt: skip
        values = {}
        for field, text in changes.items():
            if field not in kinds:
                raise UsageError(f"protocol field {field!r} is unknown; {suggest(field, list(kinds))}")
            try:
                values[field] = convert(text, kinds[field])
            except ValueError:
                raise UsageError(f"protocol field {field}={text!r} is not {type_name(kinds[field])}") from None
        changed = {k: v for k, v in values.items() if v != getattr(self, k)}
        name = self.name + "".join(f"+{k}={v}" for k, v in sorted(changed.items()))
        return dataclasses.replace(self, name=name, **changed)

    @property
    def key(self) -> str:
        """Every field that can change a number, for content keys; but `own_size`, which changes some images only and
        stands in the keys of those (`bench.run.keys`)."""
        fields = dataclasses.asdict(self)
        later = (k for k, v in LATER.items() if fields[k] == v)
        left_out = {"name", "note", "paper", "max_passes", "own_size", *later}
        return ",".join(f"{k}={fields[k]}" for k in sorted(fields) if k not in left_out)


LATER: dict[str, object] = {"ties": "seeded", "area": 0.0}
"""Fields that came when rows were stored already, and their defaults, at which keys stay what they were."""

PROTOCOLS: Registry[Protocol] = Registry("protocol")


def protocol(text: str) -> Protocol:
    """`clean`, or `clean+target=true+steps=14`. Raises UsageError for an unknown name, field or value."""
    name, *changes = text.split("+")
    pairs = dict(item.partition("=")[::2] for change in changes for item in split_list(change))
    return PROTOCOLS[name].value.with_fields(**pairs)


QUICK_NOTE = "quick: fewer steps and capped methods, for looking, not for citing"

for _protocol in (
    Protocol("clean"),
    Protocol("quick", steps=5, max_passes=200, note=QUICK_NOTE),
    Protocol("opticam-2024", own_size="resized", target="true", deletion_end="mean", maps="paper",
             paper="Opti-CAM, arXiv 2301.07002"),
    Protocol("opticam-2024-loc", pixels="fit-crop", own_size="resized", target="true", deletion_end="mean",
             maps="paper", boxes="unclipped", axes="swapped", paper="Opti-CAM, arXiv 2301.07002"),
    Protocol("castream-2024", pixels="squash", own_size="resized", target="true", insertion_start="blur-5-5",
             deletion_end="mean", maps="min-max-then-up", paper="CA-Stream, arXiv 2404.14996"),
    Protocol("wsol-v2", pixels="squash", own_size="resized", target="true", maps="bicubic",
             paper="Choe et al. 2020, arXiv 2007.04178"),
    Protocol("grid", pixels="squash", own_size="resized", target="true", paper="Böhle et al. 2021, arXiv 2104.00032"),
    Protocol("cifar-2024", target="true", insertion_start="blur-5-5", deletion_end="mean", maps="paper",
             paper="Torres Figueroa et al. 2024 (interpretable gradients), arXiv 2404.15024"),
    Protocol("walls-2024", insertion_start="blur-5-5", deletion_end="mean", maps="min-max-then-up",
             paper="Taimeskhanov et al. 2024 (see through walls), arXiv 2404.01964"),
    Protocol("rise-2018", own_size="resized", masked_out="mean", deletion_end="mean", maps="as-is",
             paper="RISE, arXiv 1806.07421"),
):  # fmt: skip
    PROTOCOLS.add(_protocol.name, _protocol)
