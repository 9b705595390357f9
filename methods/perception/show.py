"""`python -m methods.perception.show`: photographs, what the network's maps still say of them, and that under a map."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from bench.classifiers.load import load_classifier
from bench.cli.flags import Parser, path, whole
from bench.core.classifier import Classifier
from bench.core.dataset import load_dataset
from bench.core.errors import Skip, UsageError
from bench.core.explainer import EXPLAINERS
from bench.core.files import write_atomic
from bench.core.maps import min_max, upsample
from bench.core.ranges import at_least
from bench.data.pixels import load_image
from bench.data.selection import select
from methods.perception.architecture import Inverter
from methods.perception.checkpoint import load_inverter

OK, USAGE = 0, 2
TITLES = ("image", "map", "reconstruction", "perception")


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        "python -m methods.perception.show",
        "Draw a row per photograph: the image, the map over it, the image that the network's maps are inverted to, and "
        "that seen through the map.",
    )
    add = parser.add_argument
    add("inverter", type=path, help="net.safetensors of python -m methods.perception.train")
    add("--out", type=path, required=True, help="the picture, a PNG file")
    add("--model", default="efficientnet_lite0", help="the network that was inverted")
    add("--weights", type=path, help=".pth or .safetensors of the network")
    add("--layer", help="its layer")
    add("--method", default="grad-cam", help="the explainer, for the predicted class")
    add("--data", default="samples", help="data set")
    add("--data-root", type=path, help="folder of its images")
    add("--limit", type=whole(at_least(1)), default=4, help="photographs that are shown")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser


def panels(classifier: Classifier, inverter: Inverter, method: str, image: Tensor) -> list[Tensor]:
    """(3, S, S), (S, S), (3, S, S), (3, S, S) of an image (3, S, S): itself, the map of its predicted class scaled to
    [0, 1], the inverted maps, and these times the map. Raises UsageError for an explainer that draws at random."""
    spec = EXPLAINERS.spec(method)
    explainer = spec.value
    if explainer.seeded:
        raise UsageError(f"--method {method} draws at random; take one such as grad-cam")
    x = image[None].to(classifier.device, classifier.dtype)
    with torch.no_grad():
        maps, targets = classifier.features(x), classifier.logits(x).argmax(1)
        drawn = inverter(maps)[0]
    found = explainer.function(classifier, x, targets, **spec.params).detach()
    saliency = min_max(upsample(found.relu(), classifier.input_size))[0]
    return [image, saliency.cpu(), drawn.cpu(), (drawn * saliency).cpu()]


def picture(rows: Sequence[Sequence[Tensor]], file: Path) -> None:
    """A PNG with a row of panels per photograph."""
    figure = Figure(figsize=(2.2 * len(TITLES), 2.2 * len(rows)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    for line, row in zip(figure.subplots(len(rows), len(TITLES), squeeze=False), rows, strict=True):
        for axes, title, panel in zip(line, TITLES, row, strict=True):
            axes.axis("off")
            axes.imshow(row[0].permute(1, 2, 0).numpy())
            if panel.ndim == 2:
                axes.imshow(panel.numpy(), cmap="jet", alpha=0.5, vmin=0, vmax=1)
            else:
                axes.imshow(panel.clamp(0, 1).permute(1, 2, 0).numpy())
            if row is rows[0]:
                axes.set_title(title, fontsize=10)
    write_atomic(file, lambda temporary: figure.savefig(temporary, format="png", metadata={"Software": None}))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 2 for usage or something missing."""
    args = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        classifier = load_classifier(args.model, layer=args.layer, weights=args.weights, device=args.device)
        inverter = load_inverter(args.inverter, classifier)
        samples = select(load_dataset(args.data, args.data_root), args.limit).samples
        images = [load_image(s, "resize-crop", classifier.input_size, classifier.interpolation) for s in samples]
        picture([panels(classifier, inverter, args.method, image) for image in images], args.out)
    except (UsageError, Skip) as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    print(args.out)
    return OK


if __name__ == "__main__":
    sys.exit(main())
