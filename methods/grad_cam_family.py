"""Gradient CAMs and Eigen-CAM through pytorch-grad-cam. Maps are signed: the ReLU of the papers is the harness's."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import EXPLAINERS, Passes, explainer
from bench.core.maps import min_max, upsample
from bench.core.ranges import above
from bench.core.spec import LATER
from methods._components import turned
from methods._grad_cam_library import library_map

ONE_GRADIENT = Passes(1, 1)
GAMMA = above(0, 100)


@explainer("grad-cam", paper="Selvaraju et al. 2017, arXiv 1610.02391", library="grad-cam", passes=ONE_GRADIENT,
           order="two-step")  # fmt: skip
def grad_cam(
    classifier: Classifier, images: Tensor, targets: Tensor, *, gamma: Annotated[float, LATER, GAMMA] = 1.0
) -> Tensor:
    """S = Σ_k w_k A_k with w_k = mean_ij g_k, g_k = ∂f_c/∂A_k (equations 1 and 2, before the ReLU).

    Any other `gamma` than 1 gives n(up(ReLU S))^gamma, (B, H, W): upsampled first, so that pixels keep their order and
    only metrics of the map's values change, not insertion, deletion or pointing. Raises UsageError for a gamma
    outside its range.

    Known failure: the mean over positions forgets where in A_k the class looks, so that the map can lie on places
    that the network does not use (Draelos & Carin 2020).
    """
    GAMMA.check("grad-cam: gamma", gamma)
    maps = library_map("GradCAM", classifier, images, targets)
    return maps if gamma == 1 else min_max(upsample(maps.relu(), classifier.input_size)) ** gamma


@explainer("grad-cam++", paper="Chattopadhyay et al. 2018, arXiv 1710.11063", library="grad-cam", passes=ONE_GRADIENT,
           order="two-step")  # fmt: skip
def grad_cam_plus_plus(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """S = Σ_k w_k A_k with w_k = Σ_ij a_k ReLU(g_k), a_k = g_k² / (2 g_k² + (Σ_ab A_k) g_k³) (equations 7 and 19).

    The exponential of the paper's score cancels in a. The library adds 1e-6 to the denominator, which is felt where
    g_k² is as small, and does not renormalise a_k over positions as the authors' code does.

    Known failure: ReLU(g_k) drops what speaks against the class, so that maps of rival classes in one image look
    alike; in practice this is Grad-CAM of the positive gradients (Lerma & Lucas 2022, arXiv 2205.10838).
    """
    return library_map("GradCAMPlusPlus", classifier, images, targets)


@explainer("xgrad-cam", paper="Fu et al. 2020, arXiv 2008.02312", library="grad-cam", passes=ONE_GRADIENT,
           order="two-step")  # fmt: skip
def xgrad_cam(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """S = Σ_k w_k A_k with w_k = Σ_ij g_k A_k / Σ_ij A_k (the library adds 1e-7 to the denominator).

    Known failure: where a map has both signs (GELU, SiLU, LayerNorm) Σ_ij A_k can be near 0, and its weight without
    bound.
    """
    return library_map("XGradCAM", classifier, images, targets)


EXPLAINERS.alias("axiom-cam", "xgrad-cam")  # its name in the thesis and in the tables of interpretable gradients


@explainer("hires-cam", paper="Draelos & Carin 2020, arXiv 2011.08891", library="grad-cam", passes=ONE_GRADIENT,
           order="two-step")  # fmt: skip
def hires_cam(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """S = Σ_k g_k A_k, position by position.

    Known failure: behind global average pooling and one linear layer it is CAM and adds nothing; behind other heads
    gradients of single positions are noisy.
    """
    return library_map("HiResCAM", classifier, images, targets)


@explainer("layer-cam", paper="Jiang et al. 2021, doi 10.1109/TIP.2021.3089943", library="grad-cam",
           passes=ONE_GRADIENT, order="two-step")  # fmt: skip
def layer_cam(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """S = Σ_k ReLU(g_k) A_k, position by position.

    Known failure: ReLU(g_k) drops what speaks against the class, so that maps of rival classes in one image look
    alike.
    """
    return library_map("LayerCAM", classifier, images, targets)


@explainer("eigen-cam", paper="Bany Muhammad & Yeasin 2020, arXiv 2008.00299", library="grad-cam", order="two-step")
def eigen_cam(classifier: Classifier, images: Tensor, targets: Tensor, *, centred: bool = True) -> Tensor:
    """S = A v, A (hw, K) the maps as columns and v its first right singular vector; the class plays no part.

    The sign of v is arbitrary (the library's is LAPACK's): here S correlates positively with the mean map or, where
    that is constant (maps behind a LayerNorm), its largest magnitude is positive. The library centres the columns
    first; `centred=false` is the paper's equation, by our own decomposition.

    Known failure: the map is the same for every class, and follows whatever varies most in A, which may be the
    background.
    """
    from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

    with torch.no_grad():
        A = classifier.features(images)
    projected = torch.from_numpy(get_2d_projection(A.cpu().numpy())).to(A) if centred else _uncentred(A)
    return turned(projected, A.mean(1), torch.linalg.vector_norm(A, dim=(1, 2, 3)))


def _uncentred(maps: Tensor) -> Tensor:
    """(B, h, w) projections of maps (B, K, h, w) on their first right singular vector."""
    rows = maps.flatten(2).mT
    result: Tensor = (rows @ torch.linalg.svd(rows, full_matrices=False).Vh[:, :1].mT).view_as(maps[:, 0])
    return result
