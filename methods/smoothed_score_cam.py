"""Score-CAMs whose weights are means over noisy or over growing masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import Passes, explainer
from bench.core.ranges import within
from methods._channel_masks import answers_under, distinct, min_max_of
from methods._common import Chunk, channels, check_targets

Noise = Literal["maps", "input"]


def passes(samples: int) -> Callable[..., Passes]:
    """One pass for the maps and `samples` for each of them."""

    def cost(classifier: Classifier, *, samples: int = samples, **_: object) -> Passes:
        return Passes(1 + samples * channels(classifier))

    return cost


@explainer("ss-cam", paper="Wang et al. 2020 (SS-CAM), arXiv 2006.14255", passes=passes(35), quick="samples=1",
           order="two-step", padded=False)  # fmt: skip
@torch.no_grad()
def ss_cam(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    *,
    samples: Annotated[int, within(1, 1000)] = 35,
    sigma: Annotated[float, within(0, 1000)] = 2.0,
    noise: Noise = "maps",
    chunk: Chunk = 64,
    seeds: Tensor,
) -> Tensor:
    """S = Σ_k w_k A_k with w = softmax_k(mean_i f_c(x · (M_k + δ_i))), M_k the up-sampled map after min-max and δ_i one
    of `samples` draws of N(0, sigma²) per pixel.

    `noise=input` is the paper's second kind, f_c(x · M_k + δ_i). Equal maps of an image are scored once. Without noise
    both are Score-CAM. torch-cam's reading of the first kind masks normalised pixels.

    Known failure: with the paper's deviation of 2, masks of 0 to 1 drown in the noise, and nearly all images lie
    outside of what the network knows; the cost is that of Score-CAM times the samples.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds.tolist()]

    def masked(image: Tensor, mask: Tensor, owner: Tensor) -> Tensor:
        depth = 1 if noise == "maps" else len(image[0])
        drawn = [torch.randn(depth, *image.shape[-2:], generator=generators[i]) for i in owner.tolist()]
        delta = sigma * torch.stack(drawn).to(image)
        return image * (mask + delta) if noise == "maps" else image * mask + delta

    return smoothed(classifier, images, targets, [masked] * samples, chunk)


@explainer("is-cam", paper="Naidu et al. 2020 (IS-CAM), arXiv 2010.03023", passes=passes(10), quick="samples=1",
           order="two-step", padded=False)  # fmt: skip
@torch.no_grad()
def is_cam(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    *,
    samples: Annotated[int, within(1, 1000)] = 10,
    chunk: Chunk = 64,
) -> Tensor:
    """S = Σ_k w_k A_k with w = softmax_k(mean_i f_c(c_i · x · M_k)), c_i = Σ_{j ≤ i} j / N for i = 1 … N = `samples`,
    M_k the up-sampled map after min-max.

    The coefficients are torch-cam's, which masks normalised pixels. With one sample it is Score-CAM.

    Known failure: c_i is a sum and passes 1 from the fourth of ten on, so that the masked images are over-exposed up to
    5.5 times.
    """

    def at(coefficient: float) -> Masked:
        return lambda image, mask, owner: coefficient * image * mask

    steps = [at(sum(range(i + 1)) / samples) for i in range(1, samples + 1)]
    return smoothed(classifier, images, targets, steps, chunk)


Masked = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Images (m, 3, H, W), masks (m, 1, H, W) and the index of each image to masked images."""


def smoothed(
    classifier: Classifier, images: Tensor, targets: Tensor, steps: list[Masked], chunk: int
) -> Tensor:  # fmt: skip
    """Σ_k w_k A_k, the weights a softmax over the mean answers of the steps; constant maps weigh nothing."""
    check_targets(classifier, targets)
    A = classifier.features(images)
    maps, owner, place = distinct(A)
    live = maps.amax((1, 2)) != maps.amin((1, 2))
    u = A.new_full(owner.shape, -torch.inf)
    if live.any():
        maps, owner = maps[live], owner[live]

        def masks(part: Tensor) -> Tensor:
            up = F.interpolate(maps[part][:, None], images.shape[-2:], mode="bilinear", align_corners=False)
            return min_max_of(up[:, 0])[:, None]

        scores = [
            answers_under(
                classifier, targets[owner],
                lambda part, step=step: step(images[owner[part]], masks(part), owner[part]), chunk,  # type: ignore[misc]
            )
            for step in steps
        ]  # fmt: skip
        u[live] = torch.stack(scores).mean(0).to(u)
    return torch.einsum("bk,bkhw->bhw", u[place].softmax(1).nan_to_num(0), A)
