"""The further CAMs against pytorch-grad-cam called as its users do, and against what they are on paper."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import pytorch_grad_cam
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget, FinerWeightedTarget
from torch import Tensor, nn

from bench.core.classifier import Classifier
from bench.core.explainer import EXPLAINERS
from tests.toys import SIZE, TOYS, photo, toy_classifier

TARGETS = torch.tensor([0, 4, 6])
CLASSES = {
    "grad-cam-elementwise": "GradCAMElementWise",
    "fem": "FEM",
    "shapley-cam": "ShapleyCAM",
    "kpca-cam": "KPCA_CAM",
    "eigen-grad-cam": "EigenGradCAM",
}


def draw(name: str, classifier: Classifier, images: Tensor, **parameters: object) -> Tensor:
    found: Tensor = EXPLAINERS[name].value.function(classifier, images, TARGETS[: len(images)], **parameters)
    return found


def scaled(maps: Tensor) -> np.ndarray:
    """As the library returns them: rectified, min-maxed, resized by OpenCV, and min-maxed again."""
    shown = []
    for S in maps.relu().numpy():
        low = (S - S.min()) / (1e-7 + (S - S.min()).max())
        up = cv2.resize(low, (SIZE, SIZE))
        shown.append((up - up.min()) / (1e-7 + (up - up.min()).max()))
    return np.stack(shown)


@pytest.mark.parametrize("kind", ["deep_head", "signed_features"])
@pytest.mark.parametrize("name", list(CLASSES))
def test_maps_are_the_librarys(name: str, kind: str) -> None:
    classifier, images = toy_classifier(kind), photo(3)
    drawn = draw(name, classifier, images)
    layer = classifier.module.tap
    for i in range(3):
        with getattr(pytorch_grad_cam, CLASSES[name])(classifier.module, [layer]) as cam:
            theirs = cam(images[i : i + 1], [ClassifierOutputTarget(int(TARGETS[i]))])
        signs = (1, -1) if name in ("kpca-cam", "eigen-grad-cam") else (1,)  # the sign of a component is arbitrary
        assert min(np.abs(scaled(sign * drawn[i : i + 1]) - theirs).max() for sign in signs) < 1e-4


def test_finer_cam_contrasts_with_the_three_nearest_classes() -> None:
    """The target's own nearest classes, as the library takes them where it chooses."""
    classifier, images = toy_classifier("deep_head"), photo(3)
    drawn = draw("finer-cam", classifier, images, alpha=0.6)
    logits = classifier.logits(images).detach()
    for i, target in enumerate(TARGETS.tolist()):
        away = (logits[i] - logits[i, target]).abs()
        nearest = [int(c) for c in away.argsort() if c != target][:3]
        A, rest = classifier.trunk(images[i : i + 1])
        A = A.detach().requires_grad_()
        score = FinerWeightedTarget(target, nearest, 0.6)(classifier.head(A, rest)[0])
        g = torch.autograd.grad(score, A)[0]
        torch.testing.assert_close(
            drawn[i], (g.mean((2, 3), keepdim=True) * A).sum(1)[0].detach(), rtol=1e-4, atol=1e-6
        )


def test_behind_a_linear_head_shapley_cam_is_grad_cam() -> None:
    classifier, images = toy_classifier("gap_linear"), photo(3)
    torch.testing.assert_close(draw("shapley-cam", classifier, images), draw("grad-cam", classifier, images))


def test_behind_a_quadratic_head_shapley_cam_halves_the_curvature() -> None:
    """f = Σ (mean A_k)²: g = 2 a / n, H A = 2 a / n, so that the weight is g / 2."""

    class Square(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = TOYS["gap_linear"]().features
            self.fc = nn.Linear(8, 7)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.fc(self.features(x).mean((2, 3)).square())
            return found

    torch.manual_seed(0)
    classifier, images = Classifier(Square(), name="square", layer="features[-1]", input_size=SIZE), photo(3)
    torch.testing.assert_close(draw("shapley-cam", classifier, images), draw("grad-cam", classifier, images) / 2)


def test_full_grad_is_the_librarys() -> None:
    classifier, images = toy_classifier("deep_head"), photo(2)
    drawn = draw("full-grad", classifier, images)
    for i in range(2):
        cam = pytorch_grad_cam.FullGrad(classifier.module, [])
        theirs = cam(images[i : i + 1].clone(), [ClassifierOutputTarget(int(TARGETS[i]))])
        cam.activations_and_grads.release()
        np.testing.assert_allclose(drawn[i : i + 1], theirs, atol=1e-5)
