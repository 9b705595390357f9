"""Pixel attributions by gradients, through Captum. Images are in [0, 1]: gradients are with respect to raw pixels.

Captum is imported when it is first used: it takes seconds.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import Passes, explainer
from bench.core.maps import upsample
from bench.core.ranges import within
from bench.core.seeds import forked_rng
from methods._captum import CHUNK, attribute, attribute_singly, strongest
from methods._class_gradient import gradient_passes, maps_and_gradient
from methods._common import one_by_one


def needs_relus(classifier: Classifier) -> str | None:
    return None if classifier.relus else "needs a net whose only activations are ReLU or ReLU6"


@explainer("gradient", paper="Simonyan et al. 2014, arXiv 1312.6034", library="captum", passes=Passes(1, 1),
           uses_layer=False)  # fmt: skip
def gradient(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """(B, H, W) max over colours of |∂f_c/∂x|.

    Known failure: noise. The gradient of a net with ReLUs changes from pixel to pixel (Balduzzi et al. 2017, arXiv
    1702.08591), and is small where the score saturates.
    """
    from captum.attr import Saliency

    method = Saliency(classifier.module)
    return strongest(attribute(classifier, images, targets, lambda x, c: method.attribute(x, c, abs=False)))


@explainer("input-x-gradient", paper="Shrikumar et al. 2016, arXiv 1605.01713", library="captum", passes=Passes(1, 1),
           uses_layer=False)  # fmt: skip
def input_x_gradient(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """(B, H, W) signed mean over colours of x · ∂f_c/∂x.

    Known failure: black pixels get 0 whatever they mean, and the noise of the gradient stays.
    """
    from captum.attr import InputXGradient

    return attribute(classifier, images, targets, InputXGradient(classifier.module).attribute).mean(1)


@explainer("integrated-gradients", paper="Sundararajan et al. 2017, arXiv 1703.01365", library="captum",
           passes=lambda classifier, *, steps=50: Passes(steps, steps), quick="steps=10", padded=False,
           uses_layer=False)  # fmt: skip
def integrated_gradients(
    classifier: Classifier, images: Tensor, targets: Tensor, *, steps: Annotated[int, within(1, 1000)] = 50
) -> Tensor:
    """(B, H, W) signed mean over colours of x · ∫₀¹ ∂f_c(t x)/∂x dt, from black (0 in [0, 1]), Gauss-Legendre.

    Three times the sum over pixels tends to f_c(x) - f_c(black).

    Known failure: pixels of the baseline's colour get 0: what is black in the image cannot matter (Sturmfels et al.
    2020, doi 10.23915/distill.00022).
    """
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(classifier.module)

    def run(image: Tensor, target: Tensor) -> Tensor:
        result: Tensor = method.attribute(
            image, 0, target, n_steps=steps, method="gausslegendre", internal_batch_size=CHUNK
        )
        return result

    return attribute_singly(classifier, images, targets, run).mean(1)


@explainer("smoothgrad", paper="Smilkov et al. 2017, arXiv 1706.03825", library="captum",
           passes=lambda classifier, *, samples=50, sigma=0.15: Passes(samples, samples),
           quick="samples=10", padded=False, uses_layer=False)  # fmt: skip
def smoothgrad(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    *,
    samples: Annotated[int, within(1, 100_000)] = 50,
    sigma: Annotated[float, within(0, 10)] = 0.15,
    seeds: Tensor,
) -> Tensor:
    """(B, H, W) max over colours of |mean over samples of ∂f_c(x + n)/∂x|, n ~ N(0, (sigma · (max x - min x))²).

    The paper's settings; Captum's own are 5 samples and an absolute deviation of 1.

    Known failure: the noisy images lie outside what the net was trained on; `sigma` decides what is seen.
    """
    return of_noisy_copies("smoothgrad", classifier, images, targets, samples, sigma, seeds)


@explainer("smoothgrad-squared", paper="Hooker et al. 2019, arXiv 1806.10758", library="captum",
           passes=lambda classifier, *, samples=50, sigma=0.15: Passes(samples, samples),
           quick="samples=10", padded=False, uses_layer=False)  # fmt: skip
def smoothgrad_squared(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    *,
    samples: Annotated[int, within(1, 100_000)] = 50,
    sigma: Annotated[float, within(0, 10)] = 0.15,
    seeds: Tensor,
) -> Tensor:
    """(B, H, W) max over colours of mean over samples of (∂f_c(x + n)/∂x)², n ~ N(0, (sigma · (max x - min x))²).

    Known failure: that of SmoothGrad; squares let few pixels take all.
    """
    return of_noisy_copies("smoothgrad_sq", classifier, images, targets, samples, sigma, seeds)


def of_noisy_copies(
    kind: str, classifier: Classifier, images: Tensor, targets: Tensor, samples: int, sigma: float, seeds: Tensor
) -> Tensor:
    """(B, H, W) largest magnitude over colours of what Captum's noise tunnel makes of the gradients."""
    from captum.attr import NoiseTunnel, Saliency

    method = NoiseTunnel(Saliency(classifier.module))

    def run(image: Tensor, target: Tensor) -> Tensor:
        deviation = sigma * (image.max() - image.min()).item()
        result: Tensor = method.attribute(
            image,
            nt_type=kind,
            nt_samples=samples,
            stdevs=deviation,
            nt_samples_batch_size=min(samples, CHUNK),
            target=target,
            abs=False,
        )
        return result

    maps = []
    for (image, target), seed in zip(one_by_one(images, targets), seeds.tolist(), strict=True):
        with forked_rng(seed):
            maps.append(strongest(attribute(classifier, image, target, run)))
    return torch.cat(maps)


@explainer("guided-backprop", paper="Springenberg et al. 2015, arXiv 1412.6806", library="captum",
           passes=Passes(1, 1), skip=needs_relus, uses_layer=False)  # fmt: skip
def guided_backprop(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """(B, H, W) max over colours of |∂f_c/∂x|, where every ReLU and ReLU6 lets only positive gradients back.

    ReLU6 is min(ReLU(x), 6): beyond 6 no gradient passes. Raises Skip for a net that torch.fx cannot follow.

    Known failure: it restores edges of the image almost whatever the class and the upper layers' weights are
    (Adebayo et al. 2018, arXiv 1810.03292; Nie et al. 2018, arXiv 1805.07039).
    """
    from captum.attr import GuidedBackprop

    method = GuidedBackprop(classifier.guided_module())
    return strongest(attribute(classifier, images, targets, method.attribute))


@explainer("guided-grad-cam", paper="Selvaraju et al. 2017, arXiv 1610.02391, section 3.2", library="captum",
           passes=lambda classifier: Passes(1 + gradient_passes(classifier).forward, 2), skip=needs_relus)  # fmt: skip
def guided_grad_cam(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """(B, H, W) guided backpropagation times the upsampled, rectified Grad-CAM.

    Raises Skip for a net that torch.fx cannot follow.

    Known failure: that of guided backpropagation: within the Grad-CAM it shows edges.
    """
    guided = guided_backprop(classifier, images, targets)
    A, g = maps_and_gradient(classifier, images, targets)
    cam = (g.mean((2, 3), keepdim=True) * A).sum(1).relu()
    return guided * upsample(cam, images.shape[-1])
