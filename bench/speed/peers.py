"""Other libraries, called as their documentation tells, with their own default batch sizes.

Each function takes what the library's user has and gives (B, S, S) maps in [0, 1] or a metric's values. Libraries are
imported when first called: some are optional (`pip install cambench[peers]`).
"""

from __future__ import annotations

import importlib.metadata
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.speed.given import Plain
from bench.speed.ours import finish

PEERS = {"pytorch-grad-cam": "grad-cam", "captum": "captum", "torch-cam": "torchcam", "quantus": "quantus"}
"""Name in the field to the name of the distribution."""


def version(peer: str) -> str | None:
    """The installed version, or None. What is no library (a plain loop) is always there."""
    if peer not in PEERS:
        return ""
    try:
        return importlib.metadata.version(PEERS[peer])
    except importlib.metadata.PackageNotFoundError:
        return None


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars and warnings of the libraries, some of which have no switch."""
    with redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        level, log = logging.getLogger().level, logging.getLogger()
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)


def grad_cam_library(method: str) -> Callable[[Plain], Tensor]:
    """pytorch-grad-cam: `with GradCAM(model=model, target_layers=[layer]) as cam: cam(input_tensor, targets)`."""

    def run(plain: Plain) -> Tensor:
        import pytorch_grad_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        targets = [ClassifierOutputTarget(target) for target in plain.targets]
        with quiet(), getattr(pytorch_grad_cam, method)(model=plain.net, target_layers=[plain.target_layer]) as cam:
            return torch.from_numpy(cam(input_tensor=plain.images, targets=targets))

    return run


def torch_cam_library(method: str) -> Callable[[Plain], Tensor]:
    """torch-cam: `with GradCAM(model, layer) as extractor: out = model(x); extractor(classes, out)`, then resized."""

    def run(plain: Plain) -> Tensor:
        import torchcam.methods

        with getattr(torchcam.methods, method)(plain.net, plain.layer) as extractor:
            with torch.set_grad_enabled(method != "ScoreCAM"):
                scores = plain.net(plain.images)
            (cams,) = extractor(plain.targets, scores)
        return finish(cams, plain.size)

    return run


def captum_grad_cam(plain: Plain) -> Tensor:
    """Captum: `LayerGradCam(model, layer).attribute(x, target)`, then resized."""
    from captum.attr import LayerGradCam

    target = torch.tensor(plain.targets, device=plain.images.device)
    maps = LayerGradCam(plain.net, plain.target_layer).attribute(plain.images, target=target)
    return finish(maps[:, 0], plain.size)


def captum_integrated_gradients(plain: Plain) -> Tensor:
    """Captum: `IntegratedGradients(model).attribute(x, baselines=black, target=class)`, 50 steps at once."""
    from captum.attr import IntegratedGradients

    target = torch.tensor(plain.targets, device=plain.images.device)
    black = plain.black.expand_as(plain.images[:1])
    return finish(IntegratedGradients(plain.net).attribute(plain.images, black, target=target).mean(1), plain.size)


def grad_cam_library_drop(maps: Tensor) -> Callable[[Plain], Tensor]:
    """pytorch-grad-cam: `DropInConfidence()(x, maps, softmax targets, model)`; the (B,) drops max(0, p − o), which it
    does not divide by p."""

    def run(plain: Plain) -> Tensor:
        from pytorch_grad_cam.metrics.cam_mult_image import DropInConfidence
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

        targets = [ClassifierOutputSoftmaxTarget(target) for target in plain.targets]
        drops = DropInConfidence()(plain.images, maps[:, None].cpu().numpy(), targets, plain.net)
        return torch.from_numpy(drops)

    return run


class GivenCams:
    """A torch-cam extractor that hands out maps computed before, so that the metric alone is timed."""

    def __init__(self, net: nn.Module, maps: Tensor):
        self.model, self.maps = net, maps

    def __call__(self, *args: Any, **kwargs: Any) -> list[Tensor]:
        return [self.maps]

    def fuse_cams(self, cams: Sequence[Tensor]) -> Tensor:
        return cams[0]

    @contextmanager
    def _hooks_off(self) -> Iterator[None]:
        yield


def torch_cam_drop(maps: Tensor) -> Callable[[Plain], Tensor]:
    """torch-cam: `ClassificationMetric(extractor, softmax).update(x, classes)`; the mean average drop."""

    def run(plain: Plain) -> Tensor:
        from torchcam.metrics import ClassificationMetric

        metric = ClassificationMetric(GivenCams(plain.net, maps), partial(torch.softmax, dim=-1))
        with torch.no_grad():
            metric.update(plain.images, plain.targets)
        return torch.tensor(metric.summary()["avg_drop"])

    return run


def torch_cam_areas(maps: Tensor, steps: int) -> Callable[[Plain], Tensor]:
    """torch-cam: `DeletionInsertionMetric(extractor, softmax, steps=steps).update(x, classes)`; mean I and D."""

    def run(plain: Plain) -> Tensor:
        from torchcam.metrics import DeletionInsertionMetric

        metric = DeletionInsertionMetric(GivenCams(plain.net, maps), partial(torch.softmax, dim=-1), steps=steps)
        with torch.no_grad():
            metric.update(plain.images, plain.targets)
        return torch.tensor([metric.insertion / metric.total, metric.deletion / metric.total])

    return run


def quantus_deletion(maps: Tensor, steps: int) -> Callable[[Plain], Tensor]:
    """Quantus: `PixelFlipping(features_in_step=…, perturb_baseline=0.0)(model, x, y, a, softmax=True)`; the (B,) mean
    probability over the steps of a deletion. Its features are colour values, three to a pixel, so that a step may end
    within a pixel, and single points of a curve differ by what that pixel is worth."""

    def run(plain: Plain) -> Tensor:
        import numpy as np
        import quantus

        with quiet():
            features = 3 * plain.size**2 // steps
            metric = quantus.PixelFlipping(features_in_step=features, perturb_baseline=0.0, disable_warnings=True)
            curves = metric(
                model=plain.net, x_batch=plain.images.cpu().numpy(), y_batch=np.array(plain.targets),
                a_batch=maps[:, None].cpu().numpy(), channel_first=True, softmax=True, device=str(plain.images.device),
            )  # fmt: skip
        return torch.tensor(curves).mean(1)

    return run
