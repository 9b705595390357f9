"""Score-CAMs with smoothed weights, and the library's smoothings of any CAM, against slow twins."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.core.explainer import EXPLAINERS
from methods._grad_cam_library import library_map
from methods.fused_cam import refine_cam
from methods.score_cam import score_cam
from methods.smoothed_cam import CLASSES, smoothed_cam
from methods.smoothed_score_cam import is_cam, ss_cam
from tests.toys import photo, toy_classifier

TARGETS = torch.tensor([0, 4])
SEEDS = torch.tensor([5, 6])


def unit(maps):
    maps = maps - maps.amin((-2, -1), keepdim=True)
    return maps / maps.amax((-2, -1), keepdim=True).clamp_min(1e-30)


def by_hand(classifier, image, target, images_of):
    """Σ_k softmax_k(mean of the logits) A_k of one image; `images_of` a mask (H, W) gives the masked images."""
    A = classifier.features(image[None])[0]
    up = unit(F.interpolate(A[None], image.shape[-2:], mode="bilinear", align_corners=False)[0])
    live = A.amax((1, 2)) > A.amin((1, 2))
    u = torch.stack([torch.stack([classifier.logits(x[None])[0, target] for x in images_of(m)]).mean() for m in up])
    return (u.where(live, -torch.inf).softmax(0)[:, None, None] * A).sum(0)


def test_is_cam_is_the_mean_over_growing_masks():
    classifier, images = toy_classifier("gap_linear"), photo(2)
    drawn = is_cam(classifier, images, TARGETS, samples=4)
    for i, target in enumerate(TARGETS):
        x = images[i]
        expected = by_hand(classifier, x, target, lambda m, x=x: [c * x * m for c in (0.25, 0.75, 1.5, 2.5)])
        torch.testing.assert_close(drawn[i], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("noise", ["maps", "input"])
def test_without_noise_ss_cam_is_score_cam_and_so_is_is_cam_of_one_sample(noise):
    classifier, images = toy_classifier("deep_head"), photo(2)
    plain = score_cam(classifier, images, TARGETS)
    smooth = ss_cam(classifier, images, TARGETS, samples=2, sigma=0.0, noise=noise, seeds=SEEDS)
    torch.testing.assert_close(smooth, plain, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(is_cam(classifier, images, TARGETS, samples=1), plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("noise", ["maps", "input"])
def test_the_noise_is_an_images_own_whatever_the_batch_and_the_chunk(noise):
    classifier, images = toy_classifier("gap_linear"), photo(2)
    together = ss_cam(classifier, images, TARGETS, samples=3, noise=noise, chunk=5, seeds=SEEDS)
    alone = ss_cam(classifier, images[1:], TARGETS[1:], samples=3, noise=noise, chunk=64, seeds=SEEDS[1:])
    torch.testing.assert_close(together[1:], alone, rtol=1e-4, atol=1e-5)
    other = ss_cam(classifier, images, TARGETS, samples=3, noise=noise, seeds=SEEDS + 1)
    assert not torch.allclose(together, other)


class Linear:
    """A classifier whose logits are linear in the pixels, with the maps of another."""

    def __init__(self, classifier):
        self.classifier = classifier
        self.weight = torch.randn(classifier.num_classes, 3, 32, 32, generator=torch.Generator().manual_seed(0)) / 100

    def __getattr__(self, name):
        return getattr(self.classifier, name)

    def logits(self, images):
        return torch.einsum("kchw,bchw->bk", self.weight, images)


def test_noise_averages_out_behind_a_linear_network():
    """Of a logit that is linear in the pixels the mean over many draws is that without noise."""
    linear, images = Linear(toy_classifier("gap_linear")), photo(1)
    smooth = ss_cam(linear, images, TARGETS[:1], samples=400, sigma=0.5, seeds=SEEDS[:1])
    torch.testing.assert_close(smooth, score_cam(linear, images, TARGETS[:1]), rtol=0.05, atol=0.02)


@pytest.mark.parametrize("cam", list(CLASSES))
def test_without_either_smoothing_it_is_the_librarys_map(cam):
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    classifier, images = toy_classifier("gap_linear"), photo(2)
    ours = smoothed_cam(classifier, images, TARGETS, cam=cam, augment=False)
    theirs = getattr(pytorch_grad_cam, CLASSES[cam])(classifier.module, [classifier.module.tap])
    found = theirs(images.clone(), [ClassifierOutputTarget(int(t)) for t in TARGETS])
    theirs.activations_and_grads.release()
    up = F.interpolate(ours[:, None], 32, mode="bilinear", align_corners=False)[:, 0].numpy()
    for own, other in zip(up, found, strict=True):
        assert np.corrcoef(own.ravel(), other.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("cam", list(CLASSES))
def test_eigen_is_the_librarys_component_with_the_sign_of_the_sum(cam):
    classifier, images = toy_classifier("gap_linear"), photo(2)
    ours = smoothed_cam(classifier, images, TARGETS, cam=cam, augment=False, eigen=True)
    component = library_map(CLASSES[cam], classifier, images, TARGETS, eigen_smooth=True)
    plain = library_map(CLASSES[cam], classifier, images, TARGETS)
    for own, c, total in zip(ours, component, plain, strict=True):
        sign = 1 if ((c - c.mean()) * total).sum() > 0 else -1
        torch.testing.assert_close(own, unit((sign * c).relu()), rtol=1e-4, atol=1e-5)


def test_augmentation_is_the_mean_over_mirrored_and_dimmed_copies_moved_back():
    classifier, images = toy_classifier("deep_head"), photo(2)
    mean = classifier.mean[:, None, None]
    expected = []
    for flip in (False, True):
        for factor in (0.9, 1.0, 1.1):
            x = mean + factor * ((images.flip(3) if flip else images) - mean)
            S = EXPLAINERS["grad-cam"].value.function(classifier, x, TARGETS).clamp(min=0)
            expected.append(unit(S.flip(2) if flip else S))
    torch.testing.assert_close(smoothed_cam(classifier, images, TARGETS), torch.stack(expected).mean(0))


def test_a_mirrored_image_has_the_mirrored_map():
    classifier, images = toy_classifier("gap_linear"), photo(2)
    maps, mirrored = (smoothed_cam(classifier, x, TARGETS) for x in (images, images.flip(3)))
    torch.testing.assert_close(maps, mirrored.flip(2), rtol=1e-4, atol=1e-5)


def test_refine_cam_is_the_product_of_the_layers_maps():
    classifier, images = toy_classifier("gap_linear"), photo(2)
    drawn = refine_cam(classifier, images, TARGETS, layers="features[1],features[-1]")
    expected = torch.ones(2, 32, 32)
    for layer in ("features[1]", "features[-1]"):
        S = EXPLAINERS["grad-cam++"].value.function(classifier.cut_at(layer), images, TARGETS).clamp(min=0)
        S = S / S.amax((1, 2), keepdim=True).clamp_min(1e-12)
        expected = expected * F.interpolate(S[:, None], 32, mode="bilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(drawn, expected, rtol=1e-4, atol=1e-5)
