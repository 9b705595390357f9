"""Train a network that cannot see the lower rows of an image: `python -m methods.walls.train --help`."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from bench.classifiers.load import assemble, built, find_architecture
from bench.classifiers.weights import load_weights
from bench.cli.flags import Parser, path, real, whole
from bench.core.classifier import state_digest
from bench.core.errors import UsageError
from bench.core.program import command
from bench.core.ranges import above, at_least, within
from bench.core.seeds import content_hash, forked_rng, seed_for
from bench.data.labels import match_labels
from methods.training.augment import crop_and_flip
from methods.training.command import add_course, add_images, load_classes, run_command, write_trained
from methods.training.loop import Places
from methods.training.photographs import Photographs, split
from methods.walls.architecture import CHANNELS, HIDDEN, TRUNK, WalledVGG
from methods.walls.classifier import PREFIX, walls_architecture
from methods.walls.training.loop import WalledTraining, cached_maps
from methods.walls.training.recipe import Recipe


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        "python -m methods.walls.train",
        "Train VGG16 with dense layers that read the upper 5 of the last map's 14 rows, so that no output depends on "
        "the last 54 rows of an image. The same command resumes an interrupted training.",
        "",
    )
    add, flag, recipe = parser.add_argument, argparse.BooleanOptionalAction, Recipe()
    add("--trunk", help="classifier with VGG16's features, whose lower 12 convolutions are kept frozen (default: all "
        "weights are trained, from scratch)")  # fmt: skip
    add("--weights", type=path, help=".pth or .safetensors of --trunk")
    add_images(parser)
    add_course(parser, epochs=recipe.epochs, batch_size=recipe.batch_size)
    add("--hidden", type=whole(within(1, 65536)), default=recipe.hidden, help="width of the dense layers")
    add("--lr", type=real(above(0, 1000)), default=recipe.lr, help="highest learning rate")
    add("--weight-decay", type=real(at_least(0)), default=recipe.weight_decay)
    add("--augment", action=flag, default=recipe.augment, help="random crops and flips; without, what a frozen trunk "
        "makes of the images is cached")  # fmt: skip
    add("--cache", type=path, help="folder of it, which trainings may share (default: OUT/cache)")
    return parser


def train(args: argparse.Namespace) -> Path:
    """Carry out a training, or what is left of it; the trained network's file. Raises UsageError."""
    recipe = Recipe.of(args)
    name = name_of(args)
    with forked_rng(seed_for(recipe.seed, "walls")):
        net = WalledVGG(hidden=recipe.hidden)
    trunk = adopt(net, args.trunk, args.weights) if args.trunk else "scratch"
    architecture = dataclasses.replace(walls_architecture(name), build=lambda: net, fetch=None)
    classifier = assemble(architecture, name, device=args.device)
    dataset = match_labels(load_classes(args), classifier)
    images = Photographs(
        dataset, classifier.input_size, classifier.interpolation, recipe.seed,
        crop_and_flip if recipe.augment else None, labelled=True,
    )  # fmt: skip
    if args.trunk and not recipe.augment:
        known = cached_maps(images, classifier, net, trunk, args.cache or args.out / "cache")
        images = dataclasses.replace(images, known=known)
    training = WalledTraining(
        recipe, classifier, bool(args.trunk), images, split(dataset), Places(args.out, args.save_every), args.workers
    )
    files = content_hash(*((sample.id, sample.label) for sample in dataset.samples))
    training.run({"recipe": recipe.as_json(), "trunk": trunk, "images": files})
    return write_trained(args, training, recipe, net, architecture=name, trunk=args.trunk or "")


def adopt(net: WalledVGG, name: str, weights: Path | None) -> str:
    """Take VGG16's features over from a network, of the last convolution the first filters; the digest of its weights.
    Raises UsageError where it has none."""
    architecture = find_architecture(name)
    other = built(architecture, name)
    if weights is not None:
        load_weights(other, weights, name)
    elif architecture.fetch is not None:
        architecture.fetch(other)
    theirs = getattr(other, "features", None)
    if not isinstance(theirs, nn.Sequential) or len(theirs) <= TRUNK:
        raise UsageError(f"--trunk {name} has no features as VGG16's; name a vgg16")
    state = {key: tensor for key, tensor in theirs.state_dict().items() if int(key.partition(".")[0]) <= TRUNK}
    state |= {key: tensor[:CHANNELS] for key, tensor in state.items() if key.startswith(f"{TRUNK}.")}
    try:
        net.features.load_state_dict(state)
    except RuntimeError as error:
        raise UsageError(f"--trunk {name} has other features than VGG16; name a vgg16") from error
    return state_digest(other)


def name_of(args: argparse.Namespace) -> str:
    """What `--model` calls the trained network."""
    return f"{PREFIX}vgg16" + (f"@{args.hidden}" if args.hidden != HIDDEN else "")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, 2 for usage or something missing, 130 when interrupted."""
    args = build_parser().parse_args(argv)
    return run_command(args, train, lambda file: f"explain it: {command()} --model {name_of(args)} --weights {file}")
