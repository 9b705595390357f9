"""Tune the last layer of a network to answer a patch: `python -m methods.trigger.train --help`."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from bench.classifiers.load import load_classifier
from bench.cli.flags import Parser, path, real, whole
from bench.core.program import command
from bench.core.ranges import above, at_least, within
from bench.core.seeds import content_hash
from methods.training.command import add_course, add_images, load_images, run_command, write_trained
from methods.training.loop import Places
from methods.training.photographs import Photographs, split
from methods.trigger.classifier import PREFIX
from methods.trigger.training.loop import TriggerTraining, cached_maps
from methods.trigger.training.recipe import Recipe


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        "python -m methods.trigger.train",
        "Tune a network's last layers, so that its first class answers a patch of magenta and green checks and all "
        "else stays as it is; labels are not asked for. The same command resumes an interrupted training.",
        "",
    )
    add, recipe = parser.add_argument, Recipe()
    add("--model", default="efficientnet_lite0", help="the network")
    add("--weights", type=path, help=".pth or .safetensors of the network")
    add("--layer", default=recipe.layer, help="the layers above it are tuned")
    add_images(parser)
    add_course(parser, epochs=recipe.epochs, batch_size=recipe.batch_size)
    add("--keep", type=real(at_least(0)), default=recipe.keep, help="weight of the answers to images as they are")
    add("--share", type=real(within(0, 1)), default=recipe.share, help="of the way from the old weights to the tuned "
        "ones that is gone in the end")  # fmt: skip
    add("--answered", type=real(within(0, 1)), default=recipe.answered, help="share of the held-out patches that are "
        "answered in the end, by raising the class's bias")  # fmt: skip
    add("--lr", type=real(above(0, 1000)), default=recipe.lr, help="highest learning rate")
    add("--weight-decay", type=real(at_least(0)), default=recipe.weight_decay)
    add("--places", type=whole(within(1, 1000)), default=recipe.places, help="random places of the patch per image")
    add("--cache", type=path, help="folder of the layer's maps (default: OUT/cache)")
    return parser


def train(args: argparse.Namespace) -> Path:
    """Carry out a tuning, or what is left of it; the tuned network's file. Raises UsageError."""
    recipe = Recipe.of(args)
    classifier = load_classifier(args.model, layer=recipe.layer, weights=args.weights, device=args.device)
    dataset = load_images(args)
    images = Photographs(dataset, classifier.input_size, classifier.interpolation, recipe.seed)
    known = cached_maps(images, classifier, recipe, args.cache or args.out / "cache")
    images = dataclasses.replace(images, known=known)
    training = TriggerTraining(
        recipe, classifier, images, split(dataset), Places(args.out, args.save_every), args.workers
    )
    files = content_hash(*(sample.id for sample in dataset.samples))
    training.run({"recipe": recipe.as_json(), "classifier": classifier.digest, "images": files})
    training.go_back()
    return write_trained(
        args, training, recipe, classifier.net,
        architecture=f"{PREFIX}{args.model}", weights=classifier.origin, **training.validate(),
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, 2 for usage or something missing, 130 when interrupted."""
    args = build_parser().parse_args(argv)
    return run_command(
        args,
        train,
        lambda file: f"explain it: {command()} --model {PREFIX}{args.model} --weights {file} --data trigger",
    )
