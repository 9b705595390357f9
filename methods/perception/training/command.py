"""Train the decoder that inverts a network's maps: `python -m methods.perception.train --help`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from bench.classifiers.load import load_classifier
from bench.cli.flags import Parser, path, real, whole
from bench.core.ranges import above, at_least, within
from bench.core.seeds import content_hash, forked_rng, seed_for
from methods.perception.architecture import Inverter
from methods.perception.checkpoint import PREFIX
from methods.perception.training.loop import PerceptionTraining
from methods.perception.training.recipe import Recipe
from methods.training.augment import crop_and_flip
from methods.training.command import add_course, add_images, load_images, run_command, write_trained
from methods.training.loop import Places
from methods.training.photographs import Photographs, split


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        "python -m methods.perception.train",
        "Train a decoder that draws the image from the maps of a frozen network (Perception Visualization, Giulivi et "
        "al. 2022, arXiv 2204.09920). The same command resumes an interrupted training.",
        "",
    )
    add, flag, recipe = parser.add_argument, argparse.BooleanOptionalAction, Recipe()
    add("--model", default="efficientnet_lite0", help="the network")
    add("--weights", type=path, help=".pth or .safetensors of the network")
    add("--layer", help="layer whose maps are inverted (default: the papers')")
    add_images(parser)
    add_course(parser, epochs=recipe.epochs, batch_size=recipe.batch_size)
    for name, what in (("feature", "squared error of the maps"), ("pixel", "squared error of the pixels"),
                       ("ssim", "1 - SSIM")):  # fmt: skip
        add(f"--{name}", type=real(at_least(0)), default=getattr(recipe, name), help=f"weight of the {what}")
    add("--width", type=whole(within(8, 4096)), default=recipe.width, help="channels of the first blocks")
    add("--lr", type=real(above(0, 1000)), default=recipe.lr, help="highest learning rate")
    add("--augment", action=flag, default=recipe.augment, help="random crops and flips")
    return parser


def train(args: argparse.Namespace) -> Path:
    """Carry out a training, or what is left of it; the inverter's file. Raises UsageError."""
    recipe = Recipe.of(args)
    classifier = load_classifier(args.model, layer=args.layer, weights=args.weights, device=args.device)
    dataset = load_images(args)
    size = classifier.input_size
    with torch.no_grad():
        _, channels, side, _ = classifier.features(torch.zeros(1, 3, size, size, device=classifier.device)).shape
    shape = [channels, side, size, recipe.width]
    with forked_rng(seed_for(recipe.seed, "perception")):
        inverter = Inverter(*shape).to(classifier.device)
    augment = crop_and_flip if recipe.augment else None
    images = Photographs(dataset, size, classifier.interpolation, recipe.seed, augment)
    training = PerceptionTraining(
        recipe, classifier, inverter, images, split(dataset), Places(args.out, args.save_every), args.workers
    )
    files = content_hash(*(sample.id for sample in dataset.samples))
    training.run(
        {"recipe": recipe.as_json(), "classifier": classifier.digest, "layer": classifier.layer, "images": files}
    )
    return write_trained(
        args, training, recipe, inverter,
        architecture=f"{PREFIX}{args.model}", classifier=classifier.digest, layer=classifier.layer, shape=shape,
        weights=classifier.origin,
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, 2 for usage or something missing, 130 when interrupted."""
    args = build_parser().parse_args(argv)
    weights = f" --weights {args.weights}" if args.weights else ""
    return run_command(
        args, train,
        lambda file: f"see it: python -m methods.perception.show {file} --model {args.model}{weights} --out seen.png",
    )  # fmt: skip
