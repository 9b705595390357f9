"""The thin adapter on pytorch-grad-cam: its own code, stopped before it scales the map."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.classifier import Classifier
from methods._common import check_targets


def library_map(
    method: str,
    classifier: Classifier,
    images: Tensor,
    targets: Tensor,
    *,
    score: Callable[[int], Callable[[Tensor], Tensor]] | None = None,
    eigen_smooth: bool = False,
    **options: Any,
) -> Tensor:
    """(B, h, w) `get_cam_image` of a class of the library, hence without its ReLU and its two min-max steps.

    The library is imported when it is first used: it takes longer to import than all of the project.

    `eigen_smooth` takes the first principal component of the weighted maps in place of their sum, of either sign.
    `score` gives for a class what is derived, a function of one image's logits; by default the class's own.
    `options` go to the library's class. Raises UsageError for a class index that does not exist.
    """
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    check_targets(classifier, targets)
    with spare_tap(classifier.module) as tap:
        cam = getattr(pytorch_grad_cam, method)(classifier.module, [tap], **options)
        wanted = [(score or ClassifierOutputTarget)(target) for target in targets.tolist()]
        try:
            with torch.set_grad_enabled(cam.uses_gradients):
                logits = cam.activations_and_grads(images)
            if cam.uses_gradients:
                torch.stack([target(row) for target, row in zip(wanted, logits, strict=True)]).sum().backward()
            activations = [maps.numpy() for maps in cam.activations_and_grads.activations]
            gradients = [maps.numpy() for maps in cam.activations_and_grads.gradients] or [None]
        finally:
            cam.activations_and_grads.release()
        with redirect_stderr(io.StringIO()):  # the library's progress bars have no switch
            raw = cam.get_cam_image(images, tap, wanted, activations[0], gradients[0], eigen_smooth)
    return torch.from_numpy(raw).to(images)


@contextmanager
def spare_tap(module: nn.Module) -> Iterator[nn.Module]:
    """Puts a fresh tap into the module for as long as the block runs: hooks and layers that the library leaves there
    when the net raises go with it."""
    tap, spare = module.tap, nn.Identity()
    module.tap = spare
    try:
        yield spare
    finally:
        module.tap = tap
