"""What does a network look for? Pictures of it, of any classifier.

    python -m bench.inspect class --index 281 --out cat.png
    python -m bench.inspect channel --index 17 --out channel.png
    python -m bench.inspect patches --index 17 --out patches.png
    python -m bench.inspect filters --out filters.png

`class` and `channel` make an image that the class or the channel answers to most (Simonyan et al. 2014), `patches`
finds the places of a data set's images at which a channel is largest, and `filters` shows the first convolution.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from bench.classifiers.load import load_classifier
from bench.cli.flags import Parser, path, real, whole
from bench.core.classifier import Classifier
from bench.core.dataset import load_dataset
from bench.core.device import prepare_process
from bench.core.errors import UsageError
from bench.core.ranges import above, at_least, within
from bench.data.pixels import ImageProblem, load_image
from bench.data.selection import select
from bench.inspection import maximise as maximising
from bench.inspection import patches as patching
from bench.inspection import pictures
from bench.plugins import register


def build_parser() -> argparse.ArgumentParser:
    parser = Parser("python -m bench.inspect", "Pictures of what a network looks for.")
    add = parser.add_argument
    add("what", choices=list(PICTURES), help="what is looked at")
    add("--out", type=path, required=True, help="the picture, a PNG file")
    add("--index", type=whole(at_least(0)), default=0, help="the class, or the channel of the target layer")
    add("--model", default="efficientnet_lite0", help="a classifier's name, timm:NAME, or FILE.py:NAME")
    add("--weights", type=path, help=".pth or .safetensors of the classifier")
    add("--layer", help="target layer (default: the papers')")
    add("--l2", type=real(at_least(0)), default=1000.0, help="weight of the L2 regulariser; 0 is none")
    add("--shift", type=whole(within(0, 1000)), default=16, help="largest shift before a step, in pixels; 0 is none")
    add("--steps", type=whole(within(1, 100_000)), default=200, help="steps of gradient ascent")
    add("--step", type=real(above(0, 1000)), default=2.0, help="length of the first step")
    add("--data", default="samples", help="data set of the patches")
    add("--data-root", type=path, help="folder of its images")
    add("--limit", type=whole(at_least(1)), help="use so many images")
    add("--count", type=whole(within(1, 400)), default=9, help="patches that are shown")
    add("--seed", type=whole(within(0, 2**63 - 1)), default=0)
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser


def of_class(classifier: Classifier, args: argparse.Namespace) -> Tensor:
    check_index(args.index, classifier.num_classes, "classes")
    return maximised(classifier, maximising.of_class(classifier, args.index), args)


def of_channel(classifier: Classifier, args: argparse.Namespace) -> Tensor:
    check_index(args.index, channels(classifier), "channels")
    return maximised(classifier, maximising.of_channel(classifier, args.index), args)


def maximised(classifier: Classifier, activation: maximising.Activation, args: argparse.Namespace) -> Tensor:
    mean = classifier.mean.to(classifier.device, classifier.dtype)
    image = maximising.maximise(
        activation, mean, classifier.input_size, args.l2, args.steps, args.step, args.shift, args.seed
    )
    return pictures.stretched(image, mean)


def of_patches(classifier: Classifier, args: argparse.Namespace) -> Tensor:
    check_index(args.index, channels(classifier), "channels")
    found = patching.strongest(classifier, args.index, shown(classifier, args), args.count)
    for patch in found:
        print(f"{patch.value:.3g}  {patch.image}  {','.join(map(str, patch.box))}")
    return pictures.grid([patch.cut for patch in found], columns=max(1, round(len(found) ** 0.5)))


def filters(classifier: Classifier, args: argparse.Namespace) -> Tensor:
    return pictures.first_filters(classifier)


PICTURES: Mapping[str, Callable[[Classifier, argparse.Namespace], Tensor]] = {
    "class": of_class, "channel": of_channel, "patches": of_patches, "filters": filters,
}  # fmt: skip


def channels(classifier: Classifier) -> int:
    size = classifier.input_size
    with torch.no_grad():
        return classifier.features(torch.zeros(1, 3, size, size, device=classifier.device)).shape[1]


def check_index(index: int, count: int, noun: str) -> None:
    if index >= count:
        raise UsageError(f"--index {index} is beyond the {count} {noun}, which are 0 … {count - 1}")


def shown(classifier: Classifier, args: argparse.Namespace) -> Iterator[tuple[str, Tensor]]:
    """The images by name, as protocol clean shows them; one that cannot be read is named and left out."""
    for sample in select(load_dataset(args.data, args.data_root), args.limit, args.seed).samples:
        try:
            yield sample.id, load_image(sample, "resize-crop", classifier.input_size, classifier.interpolation)
        except ImageProblem as problem:
            print(f"{sample.path}: {problem}; left out", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 2 for usage or something missing."""
    args = build_parser().parse_args(argv)
    prepare_process()
    register()
    try:
        classifier = load_classifier(args.model, layer=args.layer, weights=args.weights, device=args.device)
        pictures.write(PICTURES[args.what](classifier, args), args.out)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
