"""Train a network with denoised gradients on a folder of labelled images: `python -m methods.denoise.train --help`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from bench.cli.flags import Parser, real, whole
from bench.core.device import check_device
from bench.core.program import command
from bench.core.ranges import above, at_least, within
from bench.core.seeds import content_hash, forked_rng, seed_for
from methods.denoise.classifier import PREFIX
from methods.denoise.loss import ERRORS
from methods.denoise.nets import NETS
from methods.denoise.training.loop import DenoisedTraining
from methods.denoise.training.recipe import SCHEDULES, Recipe
from methods.training.augment import shift_flip_and_tilt
from methods.training.command import add_course, add_images, load_classes, run_command, write_trained
from methods.training.loop import Places
from methods.training.photographs import Photographs, split

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
"""Of CIFAR's colours, as the code that the paper's authors credit has them."""


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        "python -m methods.denoise.train",
        "Train a network whose gradient is like that of guided backpropagation. The same command resumes a training.",
        "",
    )
    add, flag, recipe = parser.add_argument, argparse.BooleanOptionalAction, Recipe()
    add("--model", default=recipe.model, choices=list(NETS))
    add("--size", type=whole(within(8, 1024)), default=32, help="side to which images are brought, in pixels")
    add_images(parser)
    add_course(parser, epochs=recipe.epochs, batch_size=recipe.batch_size)
    add("--error", default=recipe.error, choices=list(ERRORS), help="E, which compares the two gradients")
    add("--weight", type=real(at_least(0)), default=recipe.weight, help="λ of the error; 0 is plain training")
    add("--lr", type=real(above(0, 1000)), default=recipe.lr, help="highest learning rate")
    add("--weight-decay", type=real(at_least(0)), default=recipe.weight_decay)
    add("--schedule", default=recipe.schedule, choices=list(SCHEDULES), help="a fifth after 30, 60 and 80 %% of the "
        "epochs, or up and down once")  # fmt: skip
    add("--augment", action=flag, default=recipe.augment, help="random shifts, flips and tilts")
    return parser


def train(args: argparse.Namespace) -> Path:
    """Carry out a training, or what is left of it; the trained network's file. Raises UsageError."""
    recipe = Recipe.of(args)
    device = check_device(args.device)
    dataset = load_classes(args)
    classes = dataset.classes or ()
    make, _ = NETS[recipe.model]
    with forked_rng(seed_for(recipe.seed, "net")):
        net = make(len(classes)).to(device)
    images = Photographs(
        dataset, args.size, "bilinear", recipe.seed, shift_flip_and_tilt if recipe.augment else None, labelled=True
    )
    statistics = (torch.tensor(MEAN), torch.tensor(STD))
    places = Places(args.out, args.save_every)
    training = DenoisedTraining(recipe, net, statistics, images, split(dataset), places, args.workers)
    files = content_hash(*((sample.id, sample.label) for sample in dataset.samples))
    training.run({"recipe": recipe.as_json(), "size": args.size, "images": files})
    return write_trained(
        args, training, recipe, net,
        architecture=PREFIX + recipe.model, size=args.size, mean=MEAN, std=STD, classes=classes,
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, 2 for usage or something missing, 130 when interrupted."""
    args = build_parser().parse_args(argv)
    return run_command(args, train, lambda file: f"explain it: {command()} --model {PREFIX}{file}")
