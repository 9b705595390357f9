"""A decoder in pictures: its maps on the sample photographs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.core.classifier import Classifier
from bench.core.dataset import load_dataset
from bench.data.pixels import load_image
from methods.decoder.architecture import Decoder, min_max
from methods.decoder.reading import read

COLUMNS = 5
COMPARED = 4
"""Photographs of a comparison."""


def maps(classifier: Classifier, decoder: Decoder, path: Path) -> None:
    """The sample photographs and the maps of their predicted classes, side by side."""
    samples = load_dataset("samples").samples
    size = classifier.input_size
    images = torch.stack([load_image(sample, "resize-crop", size, classifier.interpolation) for sample in samples])
    height = math.ceil(len(samples) / COLUMNS)
    figure = Figure(figsize=(4 * COLUMNS, 2.2 * height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    for position, image in enumerate(images.to(classifier.device, classifier.dtype)[:, None]):
        reading = read(classifier, decoder.config, image)
        with torch.no_grad():
            saliency = min_max(decoder(reading))[0]
        for column, overlay in ((1, None), (2, saliency.cpu().numpy())):
            axes = figure.add_subplot(height, 2 * COLUMNS, 2 * position + column)
            axes.imshow(image[0].permute(1, 2, 0).cpu().numpy())
            axes.axis("off")
            if overlay is not None:
                axes.imshow(overlay, cmap="jet", alpha=0.5, vmin=0, vmax=1)
                axes.set_title(classifier.classes[int(reading.targets)], fontsize=8)
    figure.savefig(path, format="png", metadata={"Software": None})


def compared(classifier: Classifier, decoders: Mapping[str, Decoder], path: Path) -> None:
    """A row per sample photograph, a column per decoder: the map of the predicted class over the photograph."""
    samples = load_dataset("samples").samples[:COMPARED]
    width, height = 1 + len(decoders), len(samples)
    figure = Figure(figsize=(1.5 * width, 1.6 * height), dpi=72, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(height, width, squeeze=False)
    for row, sample in zip(panels, samples, strict=True):
        image = load_image(sample, "resize-crop", classifier.input_size, classifier.interpolation)
        x = image.to(classifier.device, classifier.dtype)[None]
        for axes, decoder in zip(row, (None, *decoders.values()), strict=True):
            axes.imshow(image.permute(1, 2, 0).numpy())
            axes.axis("off")
            if decoder is not None:
                with torch.no_grad():
                    saliency = min_max(decoder(read(classifier, decoder.config, x)))[0]
                axes.imshow(saliency.cpu().numpy(), cmap="jet", alpha=0.5, vmin=0, vmax=1)
    for axes, name in zip(panels[0], ("image", *decoders), strict=True):
        axes.set_title("\n".join(wrap(name, 16)), fontsize=8)
    figure.savefig(path, format="png", metadata={"Software": None})
