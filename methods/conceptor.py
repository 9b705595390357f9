"""Conceptors over the maps of a layer, as a filter between the maps and the weights of a CAM."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.explainer import explainer
from bench.core.ranges import within
from methods._class_gradient import gradient_passes, maps_and_gradient
from methods._common import check_targets

Weights = Literal["grad-cam", "hires-cam", "layer-cam", "sharpen-focus"]
LEAST = 1e-6
"""Least eigenvalue of a conceptor that is inverted."""

WEIGHTS = {
    "grad-cam": lambda g: g.mean((2, 3), keepdim=True).expand_as(g),
    "hires-cam": lambda g: g,
    "layer-cam": lambda g: g.relu(),
    "sharpen-focus": lambda g: g.relu().mean((2, 3), keepdim=True).expand_as(g),
}
"""Gradients (B, K, h, w) to a CAM's weights, position by position."""


def conceptor(X: Tensor, aperture: float) -> Tensor:
    """C = R (R + aperture⁻² I)⁻¹ (B, d, d) of rows X (B, n, d), R = Xᵀ X / n: the soft projection on the directions
    along which the rows are large (Jaeger 2014, arXiv 1403.3369, definition 1)."""
    R = X.mT @ X / X.shape[1]
    eye = torch.eye(R.shape[-1], dtype=R.dtype, device=R.device)
    result: Tensor = torch.linalg.solve(R + eye / aperture**2, R)
    return result


def negation(C: Tensor) -> Tensor:
    """NOT C = I - C (definition 4)."""
    return torch.eye(C.shape[-1], dtype=C.dtype, device=C.device) - C


def conjunction(C: Tensor, B: Tensor) -> Tensor:
    """C AND B = (C⁻¹ + B⁻¹ - I)⁻¹ (definition 4), eigenvalues below 1e-6 taken as that."""
    eye = torch.eye(C.shape[-1], dtype=C.dtype, device=C.device)
    result: Tensor = torch.linalg.inv(inverted(C) + inverted(B) - eye)
    return result


def inverted(C: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh((C + C.mT) / 2)
    result: Tensor = vectors / values.clamp(min=LEAST)[..., None, :] @ vectors.mT
    return result


@explainer("conceptor-inspired", paper="after Qian et al. 2022, arXiv 2201.08636, of which no formula is public",
           passes=gradient_passes, order="two-step")  # fmt: skip
def conceptor_inspired(
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    *,
    weights: Weights = "grad-cam",
    aperture: Annotated[float, within(0.01, 1e4)] = 4.0,
    negative: bool = True,
) -> Tensor:
    """S_i = w_i · C a_i, a_i the K values of the maps at position i, w_i the weights of a CAM, C = C₊ AND NOT C₋.

    C₊ and C₋ are the conceptors of the positive and of the (pseudo-)negative evidence, the rows relu(w_i) · a_i and
    relu(-w_i) · a_i, each set scaled to a mean square of 1 per row: what speaks for the class and not against it stays.
    All is computed within the span of these rows and of the a_i, which is exact. With `negative=false` C is C₊, and as
    the `aperture` grows the map becomes that of the CAM with the positive weights alone.

    An experiment with general conceptors (Jaeger 2014), not Conceptor-CAM: that paper's formula is not public, and its
    printed gains must not be set against this.

    Known failure: with few positions (7 × 7) the conceptors know few directions, and the map stays near its CAM's.
    """
    check_targets(classifier, targets)
    A, g = maps_and_gradient(classifier, images, targets)
    a, w = (x.flatten(2).mT.double() for x in (A, WEIGHTS[weights](g)))
    filtered = torch.stack([within_span(*one, aperture, negative) for one in zip(a, w, strict=True)])
    return (w.relu() if not negative else w).mul(filtered).sum(2).view_as(A[:, 0]).to(A)


def within_span(a: Tensor, w: Tensor, aperture: float, negative: bool) -> Tensor:
    """(n, K) rows C a_i of rows a (n, K) with weights w (n, K)."""
    evidence = [unit(w.relu() * a), unit((-w).relu() * a)]
    # relu(w) a of both signs spans a where w is not 0, and no conceptor sees what is orthogonal to all rows
    Q = torch.linalg.qr(torch.cat(evidence).mT).Q
    C = conceptor((evidence[0] @ Q)[None], aperture)[0]
    if negative:
        C = conjunction(C, negation(conceptor((evidence[1] @ Q)[None], aperture)[0]))
    filtered: Tensor = a @ Q @ C @ Q.mT
    return filtered


def unit(rows: Tensor) -> Tensor:
    """Rows scaled so that their mean square norm is 1; rows of 0 stay."""
    return rows / rows.square().sum(1).mean().sqrt().clamp_min(torch.finfo(rows.dtype).tiny)
