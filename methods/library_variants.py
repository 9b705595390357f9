"""pytorch-grad-cam's own versions of methods that stand natively in the table; run only when named."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import Passes, explainer
from methods._common import channels, one_by_one, pass_per_channel
from methods._grad_cam_library import library_map


def ablation_passes(classifier: Classifier) -> Passes:
    """The library asks for the original score in a pass of its own and repeats the trunk for each channel."""
    return Passes(2 + channels(classifier))


@explainer("score-cam:pytorch-grad-cam", paper="Wang et al. 2020, arXiv 1910.01279", library="grad-cam",
           passes=pass_per_channel, order="two-step", library_variant=True, padded=False)  # fmt: skip
def score_cam(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """S = Σ_k softmax_k(f_c(x · M_k)) A_k, M_k up-sampled with aligned corners, then min-max with 1e-8.

    The library masks the tensor that it is given; normalisation lives inside the classifier, so that is the image in
    [0, 1] with black behind the mask (its users mostly hand it normalised images: mean colour behind the mask).

    Known failure: that of Score-CAM; here the masks' edges also move, since corners are aligned.
    """
    return torch.cat([library_map("ScoreCAM", classifier, *one) for one in one_by_one(images, targets)])


@explainer("ablation-cam:pytorch-grad-cam", paper="Desai & Ramaswamy 2020, doi 10.1109/WACV45572.2020.9093360",
           library="grad-cam", passes=ablation_passes, order="two-step", library_variant=True,
           padded=False)  # fmt: skip
def ablation_cam(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """S = Σ_k w_k A_k with w_k = (f_c - f_c^k) / f_c; channel k is set to 0 for f^k only where the least activation is
    0, else to the least activation - 1e7, which falls on from channel to channel.

    One image at a time with an ablation layer of its own: the class's default layer is shared between instances.

    Known failure: behind activations with negative values channels are set to ever lower values, far from what the
    head has seen.
    """
    from pytorch_grad_cam.ablation_layer import AblationLayer

    return torch.cat([
        library_map("AblationCAM", classifier, *one, ablation_layer=AblationLayer())
        for one in one_by_one(images, targets)
    ])  # fmt: skip
