"""Further attributions through Captum: by rules of their own for the way back, and by models of what perturbations do.

Images are in [0, 1] and black is the baseline.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.errors import Skip
from bench.core.explainer import Passes, explainer
from bench.core.ranges import within
from bench.core.seeds import forked_rng
from methods._captum import CHUNK, attribute, attribute_singly, strongest
from methods._common import check_targets, one_by_one
from methods._superpixels import superpixels, tiles
from methods.gradients import needs_relus


@explainer("deconvolution", paper="Zeiler & Fergus 2014, arXiv 1311.2901", library="captum", passes=Passes(1, 1),
           skip=needs_relus, uses_layer=False)  # fmt: skip
def deconvolution(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """(B, H, W) max over colours of |∂f_c/∂x|, where every ReLU lets back what is positive, whatever it received.

    Raises Skip for a net that torch.fx cannot follow.

    Known failure: that of guided backpropagation: it restores the image.
    """
    from captum.attr import Deconvolution

    return strongest(attribute(classifier, images, targets, Deconvolution(classifier.guided_module()).attribute))


@explainer("deeplift", paper="Shrikumar et al. 2017, arXiv 1704.02685", library="captum", passes=Passes(2, 2),
           skip=needs_relus, padded=False, uses_layer=False)  # fmt: skip
def deeplift(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """(B, H, W) signed mean over colours of DeepLIFT's contributions from black, by the rescale rule at every ReLU.

    Other nonlinearities pass their gradient; in nets with max pooling the contributions do not sum to
    f_c(x) - f_c(black). Raises Skip for a net that torch.fx cannot follow.

    Known failure: where the baseline and the image differ little in a unit, its multiplier is the gradient's noise.
    """
    from captum.attr import DeepLift

    method = DeepLift(classifier.guided_module())
    return attribute_singly(classifier, images, targets, lambda x, c: method.attribute(x, 0, target=c)).mean(1)


@explainer("gradient-shap", paper="Lundberg & Lee 2017, arXiv 1705.07874", library="captum",
           passes=lambda classifier, *, samples=20, sigma=0.09: Passes(samples, samples), quick="samples=10",
           padded=False, uses_layer=False)  # fmt: skip
def gradient_shap(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    *,
    samples: Annotated[int, within(1, 10_000)] = 20,
    sigma: Annotated[float, within(0, 10)] = 0.09,
    seeds: Tensor,
) -> Tensor:
    """(B, H, W) signed mean over colours of the mean over samples of x' · ∂f_c/∂x at a random point between black and
    x' = x + N(0, sigma²): the expectation of Integrated Gradients over noisy images.

    Known failure: that of Integrated Gradients, and noise until samples are many.
    """
    from captum.attr import GradientShap

    method = GradientShap(classifier.module)
    maps = []
    for (image, target), seed in zip(one_by_one(images, targets), seeds.tolist(), strict=True):
        with forked_rng(seed):
            maps.append(
                attribute(
                    classifier, image, target,
                    lambda x, c: method.attribute(x, torch.zeros_like(x), samples, sigma, target=c),
                )
            )  # fmt: skip
    return torch.cat(maps).mean(1)


@explainer("feature-ablation", paper="Captum (FeatureAblation)", library="captum", quick="grid=4",
           passes=lambda classifier, *, grid=7: Passes(1 + grid**2), padded=False, uses_layer=False)  # fmt: skip
@torch.no_grad()
def feature_ablation(
    classifier: Classifier, images: Tensor, targets: Tensor, *, grid: Annotated[int, within(1, 32)] = 7
) -> Tensor:
    """(B, H, W) f_c(x) - f_c(x with the tile black), at each pixel of the tile; `grid` × `grid` tiles.

    Known failure: that of occlusion.
    """
    from captum.attr import FeatureAblation

    check_targets(classifier, targets)
    method, mask = FeatureAblation(classifier.module), tiles(images.shape[-1], grid).to(images.device)
    return torch.cat([
        method.attribute(image, 0, target, feature_mask=mask[None, None], perturbations_per_eval=CHUNK)
        for image, target in one_by_one(images, targets)
    ])[:, 0]  # fmt: skip


@explainer("lime", paper="Ribeiro et al. 2016, arXiv 1602.04938", library="captum",
           passes=lambda classifier, *, samples=500, segments=50: Passes(samples), padded=False,
           uses_layer=False)  # fmt: skip
@torch.no_grad()
def lime(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    *,
    samples: Annotated[int, within(2, 100_000)] = 500,
    segments: Annotated[int, within(4, 1000)] = 50,
    seeds: Tensor,
) -> Tensor:
    """(B, H, W) weights of the superpixels in a linear model of p_c, fitted to `samples` images with random ones black.

    About `segments` SLIC superpixels, each shown with probability ½; samples weighted by exp(-d²/0.25²), d the cosine
    distance of what is shown from all; ridge of strength 1, as in the authors' code for images.

    Known failure: it changes with the segments and, for few samples, from seed to seed.
    """
    from captum._utils.models.linear_model import SkLearnRidge
    from captum.attr import Lime
    from captum.attr._core.lime import get_exp_kernel_similarity_function

    check_targets(classifier, targets)
    method = Lime(
        classifier.module, SkLearnRidge(alpha=1.0), get_exp_kernel_similarity_function("cosine", 0.25)
    )  # fmt: skip
    return fitted(classifier, method, images, targets, samples, segments, seeds)


@explainer("kernel-shap", paper="Lundberg & Lee 2017, arXiv 1705.07874", library="captum",
           passes=lambda classifier, *, samples=500, segments=50: Passes(samples),
           padded=False, uses_layer=False)  # fmt: skip
@torch.no_grad()
def kernel_shap(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    *,
    samples: Annotated[int, within(2, 100_000)] = 500,
    segments: Annotated[int, within(4, 1000)] = 50,
    seeds: Tensor,
) -> Tensor:
    """(B, H, W) estimated Shapley values of about `segments` SLIC superpixels for p_c, black where one is absent.

    Known failure: that of LIME.
    """
    from captum.attr import KernelShap

    check_targets(classifier, targets)
    return fitted(classifier, KernelShap(probabilities(classifier)), images, targets, samples, segments, seeds)


def probabilities(classifier: Classifier) -> object:
    """Images to class probabilities."""
    return lambda images: classifier.output.log_probabilities(classifier.module(images)).exp()


def fitted(
    classifier: Classifier, method: object, images: Tensor, targets: Tensor, samples: int, segments: int, seeds: Tensor
) -> Tensor:
    """(B, H, W) what a model over superpixels gives each."""
    method.forward_func = probabilities(classifier)  # type: ignore[attr-defined]
    maps = []
    for (image, target), seed in zip(one_by_one(images, targets), seeds.tolist(), strict=True):
        parts = superpixels(image[0], segments).to(images.device)
        with forked_rng(seed):
            maps.append(
                method.attribute(  # type: ignore[attr-defined]
                    image, 0, target, feature_mask=parts[None, None], n_samples=samples, perturbations_per_eval=CHUNK
                )
            )
    return torch.cat(maps)[:, 0]


@explainer("lrp", paper="Bach et al. 2015, doi 10.1371/journal.pone.0130140", library="captum", passes=Passes(2, 1),
           skip=needs_relus, padded=False, uses_layer=False)  # fmt: skip
def lrp(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """(B, H, W) sum over colours of the relevance of layer-wise relevance propagation, epsilon rule in every layer.

    Skipped where Captum has no rule for a layer, and for nets whose paths meet again (sums of branches have none).

    Known failure: the epsilon rule is close to gradient × input, and as noisy.
    """
    from captum.attr import LRP

    method = LRP(classifier.guided_module())
    try:
        return attribute_singly(classifier, images, targets, lambda x, c: method.attribute(x, target=c)).sum(1)
    except (TypeError, AssertionError, RuntimeError) as error:
        raise Skip(f"Captum's LRP has no rule for it: {' '.join(str(error).split())[:120]}") from error
