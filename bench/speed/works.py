"""What is compared: each work with our way, the peers' ways and the check that both do the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from torch import Tensor

from bench.speed import ours, peers
from bench.speed.given import Given, Plain
from bench.speed.plain_opti_cam import plain_opti_cam

STEPS = 28
"""Of insertion and deletion, as in the protocol `clean`."""
GRAD_CAM_FAMILY = {
    "grad-cam": ("GradCAM", "GradCAM"), "grad-cam++": ("GradCAMPlusPlus", "GradCAMpp"),
    "xgrad-cam": ("XGradCAM", "XGradCAM"), "layer-cam": ("LayerCAM", "LayerCAM"), "hires-cam": ("HiResCAM", None),
}  # fmt: skip
"""Our name to the class of pytorch-grad-cam and that of torch-cam."""


def same(values: Tensor) -> Tensor:
    return values


class Peer(NamedTuple):
    """Another library's way to do a work."""

    name: str
    run: Callable[[Plain], Tensor]
    view: Callable[[Tensor], Tensor] = same
    """Our result as the peer reports it (a mean over images, a drop that is not divided)."""
    differs: str = ""
    """Why the results are not equal, where the mathematics is not the same."""


@dataclass(frozen=True)
class Work:
    """Something that both we and others compute. Both get the same images at once."""

    name: str
    ours: Callable[[Given], Tensor]
    peers: tuple[Peer, ...]
    images: int
    tolerance: float = 1e-3
    """Largest difference of two maps in [0, 1], or of two values, at single precision."""


def build_works(given: Given, quick: bool) -> list[Work]:
    """All works on the given classifier, the cheap ones first. Those of a net's every channel take one image."""
    few, some, everything = (min(count, len(given.images)) for count in (4 if quick else 8, 4 if quick else 20, 20))
    optimised = 10 if quick else 50
    opti_cam = f"opti-cam(steps={optimised},early_stop=false)"
    library, torch_cam = peers.grad_cam_library, peers.torch_cam_library
    maps = ours.untied(ours.explain(given, "grad-cam"))
    flips = quantus_steps(given.classifier.input_size)
    return [
        *(family_member(name, few) for name in GRAD_CAM_FAMILY),
        Work("AD", partial(ours.average_drop, maps=maps), (
            Peer("pytorch-grad-cam", peers.grad_cam_library_drop(maps), lambda values: values[0] * values[1]),
            Peer("torch-cam", peers.torch_cam_drop(maps), lambda values: values[0].mean()),
        ), everything),
        Work("I and D", partial(ours.areas, maps=maps[:some], steps=STEPS), (
            Peer("torch-cam", peers.torch_cam_areas(maps[:some], STEPS), lambda values: values.mean(1)),
        ), some),
        Work(f"D(steps={flips})", partial(ours.deletion_means, maps=maps[:some], steps=flips), (
            Peer("quantus", peers.quantus_deletion(maps[:some], flips)),
        ), some, tolerance=1e-2),
        Work("integrated-gradients", partial(ours.explain, spec="integrated-gradients"), (
            Peer("captum", peers.captum_integrated_gradients),
        ), 1, tolerance=1e-2),
        Work(opti_cam, partial(ours.explain, spec=opti_cam), (
            Peer("plain loop", plain_opti_cam(optimised)),
        ), 1, tolerance=3e-2),  # Adam divides by the gradient's size and so enlarges rounding
        Work("ablation-cam", partial(ours.explain, spec="ablation-cam"), (
            Peer("pytorch-grad-cam", library("AblationCAM")),
        ), 1),
        Work("score-cam(variant=pytorch-grad-cam)", partial(ours.explain, spec="score-cam(variant=pytorch-grad-cam)"), (
            Peer("pytorch-grad-cam", library("ScoreCAM")),
        ), 1),
        Work("score-cam(variant=torch-cam)", partial(ours.explain, spec="score-cam(variant=torch-cam)"), (
            Peer("torch-cam", torch_cam("ScoreCAM")),
        ), 1),
    ]  # fmt: skip


def quantus_steps(size: int, steps: int = STEPS) -> int:
    """The number of steps nearest to `steps` that Quantus can do on images (3, size, size).

    It flips f colour values a step, f a divisor of size²: 3 size² / f steps in all.
    """
    divisors = [f for f in range(1, size**2 + 1) if size**2 % f == 0]
    return min((3 * size**2 // f for f in divisors), key=lambda count: abs(count - steps))


def family_member(name: str, images: int) -> Work:
    """A Grad-CAM by one gradient, beside all libraries that have it."""
    in_library, in_torch_cam = GRAD_CAM_FAMILY[name]
    others = [Peer("pytorch-grad-cam", peers.grad_cam_library(in_library))]
    if in_torch_cam:
        undivided = "torch-cam 0.5.0 drops the division in its α: it divides a copy" if name == "grad-cam++" else ""
        others.append(Peer("torch-cam", peers.torch_cam_library(in_torch_cam), differs=undivided))
    if name == "grad-cam":
        others.append(Peer("captum", peers.captum_grad_cam))
    return Work(name, partial(ours.explain, spec=name), tuple(others), images)
