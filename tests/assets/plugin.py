"""Plug-in explainers: one that works, one that fails, one that answers with the wrong shape, one with NaN."""

import torch

from cambench import explainer


@explainer("power-cam", paper="a working plug-in")
def power_cam(classifier, images, targets, *, power: float = 1.0):
    return classifier.features(images).relu().pow(power).mean(1)


@explainer("failing", paper="none")
def failing(classifier, images, targets):
    raise RuntimeError("the explainer broke")


@explainer("wrong-shape", paper="none")
def wrong_shape(classifier, images, targets):
    return torch.rand(len(images), 3, 8, 8)


@explainer("not-a-number", paper="none")
def not_a_number(classifier, images, targets):
    return torch.full((len(images), 4, 4), float("nan"))
