"""Train a stream beside a frozen network on a folder of labelled images: `python -m methods.castream.train --help`."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.classifiers.load import find_architecture, load_classifier
from bench.cli.flags import Parser, path, real
from bench.core.program import command
from bench.core.ranges import above, at_least
from bench.core.seeds import content_hash, forked_rng, seed_for
from bench.core.spec import split_list
from bench.data.labels import match_labels
from methods.castream.architecture import StreamedNet, check_chain, usual_stages
from methods.castream.classifier import PREFIX
from methods.castream.training.loop import StreamTraining, cached_features
from methods.castream.training.recipe import RECIPES, Recipe
from methods.training.augment import crop_and_flip
from methods.training.command import add_course, add_images, load_classes, run_command, write_trained
from methods.training.loop import Places
from methods.training.photographs import Photographs, split


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        "python -m methods.castream.train",
        "Train a cross-attention stream (CA-Stream) in place of a network's mean pooling; the network stays as it is. "
        "The same command resumes an interrupted training.",
        "recipes, of the authors' code: "
        + "; ".join(f"{name}: {recipe.as_json()}" for name, recipe in RECIPES.items()),
    )
    add, flag = parser.add_argument, argparse.BooleanOptionalAction
    add("--model", required=True, help="a torchvision network, as resnet18")
    add("--weights", type=path, help=".pth or .safetensors of the network")
    add("--stages", help="modules behind which a block stands, by commas (default: the paper's)")
    add_images(parser)
    add("--recipe", default="resnet", choices=list(RECIPES), help="what the flags below replace parts of")
    add_course(parser, epochs=90, batch_size=64)
    add("--lr", type=real(above(0, 1000)), help="highest learning rate")
    add("--weight-decay", type=real(at_least(0)))
    add("--augment", action=flag, help="random crops and flips (the recipes' own); without, features are cached")
    add("--cache", type=path, help="folder of cached features, which trainings may share (default: OUT/cache)")
    parser.set_defaults(epochs=None, batch_size=None)
    return parser


def build_recipe(args: argparse.Namespace) -> Recipe:
    """The recipe with what the flags replace. Raises UsageError for what does not go together."""
    names = {field.name for field in dataclasses.fields(Recipe)}
    given = {name: value for name, value in vars(args).items() if name in names and value is not None}
    recipe = dataclasses.replace(RECIPES[args.recipe], **given)
    if recipe.mixes and not recipe.augment:
        return dataclasses.replace(recipe, mixup=0.0, cutmix=0.0)
    return recipe


def train(args: argparse.Namespace) -> Path:
    """Carry out a training, or what is left of it; the trained network's file. Raises UsageError."""
    recipe = build_recipe(args)
    find_architecture(name_of(args))
    classifier = load_classifier(args.model, weights=args.weights, device=args.device)
    dataset = match_labels(load_classes(args), classifier)
    with forked_rng(seed_for(recipe.seed, "stream")):
        net = StreamedNet(classifier.net, split_list(args.stages) if args.stages else usual_stages(args.model))
    check_chain(net, classifier.input_size)
    net.to(classifier.device)
    images = Photographs(
        dataset, classifier.input_size, classifier.interpolation, recipe.seed,
        crop_and_flip if recipe.augment else None, labelled=True,
    )  # fmt: skip
    if not recipe.augment:
        known = cached_features(images, classifier, net, args.cache or args.out / "cache")
        images = dataclasses.replace(images, known=known)
    training = StreamTraining(
        recipe, classifier, net, images, split(dataset), Places(args.out, args.save_every), args.workers
    )
    identity: dict[str, Any] = {
        "recipe": recipe.as_json(), "classifier": classifier.digest, "stages": net.stages,
        "images": content_hash(*((sample.id, sample.label) for sample in dataset.samples)),
    }  # fmt: skip
    training.run(identity)
    net.stream.load_state_dict(training.averaged.state_dict())
    return write_trained(args, training, recipe, net, architecture=name_of(args), weights=classifier.origin)


def name_of(args: argparse.Namespace) -> str:
    """What `--model` calls the trained network."""
    return f"{PREFIX}{args.model}" + (f"@{args.stages.replace(',', '+')}" if args.stages else "")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, 2 for usage or something missing, 130 when interrupted."""
    args = build_parser().parse_args(argv)
    return run_command(args, train, lambda file: f"explain it: {command()} --model {name_of(args)} --weights {file}")
