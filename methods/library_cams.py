"""Further CAMs through pytorch-grad-cam. Maps are signed: the ReLU of the papers is the harness's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from bench.core.classifier import Classifier
from bench.core.errors import Skip
from bench.core.explainer import Passes, explainer
from bench.core.ranges import within
from methods._class_gradient import gradient_passes, maps_and_gradient
from methods._common import check_targets, of_targets, one_by_one
from methods._components import turned
from methods._grad_cam_library import library_map

ONE_GRADIENT = Passes(1, 1)
RIVALS = 3


def shapley_passes(classifier: Classifier) -> Passes:
    """The second derivative goes back once more."""
    return Passes(gradient_passes(classifier).forward, 1)


@explainer("eigen-grad-cam", paper="pytorch-grad-cam, after Bany Muhammad & Yeasin 2020", library="grad-cam",
           passes=gradient_passes, order="two-step")  # fmt: skip
def eigen_grad_cam(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """S = first principal component of g_k A_k over positions: Eigen-CAM of the maps weighted by their gradients.

    The component's sign is arbitrary; here it agrees with Σ_k g_k A_k, the map of HiRes-CAM.

    Known failure: it follows what varies most among the products, which may speak against the class.
    """
    from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

    check_targets(classifier, targets)
    A, g = maps_and_gradient(classifier, images, targets)
    weighted = g * A
    components = torch.from_numpy(get_2d_projection(weighted.cpu().numpy())).to(A)
    return turned(components, weighted.sum(1), torch.linalg.vector_norm(weighted, dim=(1, 2, 3)))


@explainer("grad-cam-elementwise", paper="pytorch-grad-cam (GradCAMElementWise)", library="grad-cam",
           passes=ONE_GRADIENT, order="two-step")  # fmt: skip
def grad_cam_elementwise(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """S = Σ_k ReLU(g_k A_k), position by position.

    Known failure: the ReLU of each product drops all that speaks against the class, so that maps of rival classes look
    alike.
    """
    return library_map("GradCAMElementWise", classifier, images, targets)


@explainer("fem", paper="Fuad et al. 2020, doi 10.1109/IPTA50016.2020.9286629", library="grad-cam", order="two-step")
@torch.no_grad()
def fem(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """S = Σ_k w_k A_k, w_k the share of positions with A_k > mean A_k + 2 sd A_k.

    This is the library's reading; the paper sums the binary maps [A_k > mean A_k + 2 sd A_k], weighted by mean A_k.

    Known failure: the class plays no part.
    """
    return torch.cat([library_map("FEM", classifier, *one) for one in one_by_one(images, targets)])


@explainer("kpca-cam", paper="Karmani et al. 2024, arXiv 2410.00267", library="grad-cam", order="two-step")
def kpca_cam(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """S = first kernel principal component (sigmoid kernel) of the maps, a position a sample.

    The component's sign is arbitrary; here it agrees with the mean map.

    Known failure: that of Eigen-CAM: the map is the same for every class.
    """
    from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection_kernel

    check_targets(classifier, targets)
    with torch.no_grad():
        A = classifier.features(images)
    maps = torch.from_numpy(get_2d_projection_kernel(A.cpu().numpy(), "sigmoid", None)).to(A)
    return turned(maps, A.mean(1), torch.linalg.vector_norm(A, dim=(1, 2, 3)))


@explainer("finer-cam", paper="Zhang et al. 2025, arXiv 2501.11309", library="grad-cam", passes=ONE_GRADIENT,
           order="two-step")  # fmt: skip
def finer_cam(
    classifier: Classifier, images: Tensor, targets: Tensor, *, alpha: Annotated[float, within(0, 10)] = 1.0
) -> Tensor:
    """Grad-CAM of Σ_d p_d (f_c - alpha · f_d) / Σ_d p_d over the three classes d whose logits are nearest to f_c.

    The weights p_d take part in the gradient, as in the library.

    Known failure: what the class shares with its rivals vanishes, also where it is the object.
    """
    from pytorch_grad_cam.utils.model_targets import FinerWeightedTarget

    def score(target: int) -> Callable[[Tensor], Tensor]:
        def contrast(logits: Tensor) -> Tensor:
            away = (logits.detach() - logits.detach()[target]).abs()
            away[target] = torch.inf
            nearest = away.argsort(stable=True)[: min(RIVALS, len(logits) - 1)].tolist()
            result: Tensor = FinerWeightedTarget(target, nearest, alpha)(logits)
            return result

        return contrast

    return library_map("GradCAM", classifier, images, targets, score=score)


@explainer("shapley-cam", paper="Cai 2025, arXiv 2501.06261", passes=shapley_passes, order="two-step")
def shapley_cam(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """S = Σ_k w_k A_k with w_k = mean_ij(g_k - ½ (H A)_k), g and H the gradient and the Hessian of f_c by the maps A.

    The second-order Shapley value of the maps. Our own, equal to pytorch-grad-cam's, whose class cannot be stopped
    before it scales the map. Behind a linear head H is 0 and this is Grad-CAM.

    Known failure: second derivatives of ReLU heads are 0 almost everywhere, and of others noisy.
    """
    check_targets(classifier, targets)
    with torch.no_grad():
        features, rest = classifier.trunk(images)
    A = features.detach().requires_grad_()
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):  # the fused kernels have no second derivative
        (g,) = torch.autograd.grad(of_targets(classifier.head(A, rest), targets).sum(), A, create_graph=True)
        curved = torch.autograd.grad(g, A, features, allow_unused=True)[0] if g.requires_grad else None
    weights = g.detach() - (0 if curved is None else curved / 2)
    return (weights.mean((2, 3), keepdim=True) * features).sum(1)


@explainer("full-grad", paper="Srinivas & Fleuret 2019, arXiv 1905.00780", library="grad-cam", passes=ONE_GRADIENT,
           order="up-then-min-max", uses_layer=False, padded=False)  # fmt: skip
def full_grad(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """(B, H, W) n(|x · ∂f_c/∂x|) + Σ over biases of n(|b · ∂f_c/∂b|), position by position, n the library's min-max.

    The library takes the biases of convolutions and batch normalisations alone. Skipped where there are none.

    Known failure: many layers of many channels count alike, so that fine edges of early layers fill the map.
    """
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    check_targets(classifier, targets)
    if not any(isinstance(m, nn.Conv2d | nn.BatchNorm2d) and m.bias is not None for m in classifier.module.modules()):
        raise Skip("it has no convolution or batch normalisation with a bias")
    maps = []
    for image, target in one_by_one(images, targets):
        cam = pytorch_grad_cam.FullGrad(classifier.module, [])
        try:
            maps.append(cam(image.detach().clone(), [ClassifierOutputTarget(int(target))]))
        finally:
            cam.activations_and_grads.release()
    return torch.from_numpy(np.concatenate(maps)).to(images)
