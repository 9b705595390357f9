"""What the commands of all trainings share: their flags, their images, their exit codes."""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.cli.flags import path, whole
from bench.core.dataset import Dataset, load_dataset
from bench.core.device import device_name, prepare_process
from bench.core.errors import UsageError, plural
from bench.core.files import write_atomic
from bench.core.ranges import at_least, within
from bench.data.selection import select
from methods.training.checkpoint import write_net
from methods.training.loop import Training
from methods.training.pictures import curves
from methods.training.recipe import BaseRecipe

OK, USAGE, INTERRUPTED = 0, 2, 130


def add_images(parser: argparse.ArgumentParser) -> None:
    """Flags about the images."""
    add = parser.add_argument
    add("--data", default="folder", help="data set")
    add("--data-root", type=path, help="folder of the images")
    add("--limit", type=whole(at_least(1)), help="use so many images")
    add("--trained-on", help="the training images in words, for the checkpoint (default: data set and count)")


def add_course(parser: argparse.ArgumentParser, epochs: int, batch_size: int) -> None:
    """Flags about where and how long, with their defaults."""
    add = parser.add_argument
    add("--out", type=path, required=True, help="folder of the checkpoint, the log and the pictures")
    add("--epochs", type=whole(at_least(1)), default=epochs)
    add("--batch-size", type=whole(within(1, 4096)), default=batch_size, help="images per step; out of memory "
        "splits it")  # fmt: skip
    add("--seed", type=whole(within(0, 2**63 - 1)), default=0)
    add("--workers", type=whole(within(0, 1024)), default=0, help="processes that read images")
    add("--save-every", type=whole(at_least(1)), default=50, help="steps between two checkpoints")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")


def load_images(args: argparse.Namespace) -> Dataset:
    """Raises UsageError."""
    dataset = load_dataset(args.data, args.data_root)
    return select(dataset, args.limit, args.seed) if args.limit else dataset


def load_classes(args: argparse.Namespace) -> Dataset:
    """Labelled images for learning to classify. Raises UsageError for images without a label, for a single class, and
    for a class without an image."""
    dataset = load_images(args)
    labels = Counter(sample.label for sample in dataset.samples)
    if None in labels or not dataset.classes:
        unlabelled = plural(labels[None], "image")
        raise UsageError(f"{unlabelled} of {dataset.name} have no label; sort the images into one folder per class")
    if len(dataset.classes) < 2:
        raise UsageError(f"{args.data_root} holds one class, {dataset.classes[0]}; learning to classify needs two")
    empty = [name for index, name in enumerate(dataset.classes) if not labels[index]] + folders_without(dataset)
    if empty:
        raise UsageError(f"no image of {', '.join(empty[:3])}; add some, or remove the empty folder")
    return dataset


def folders_without(dataset: Dataset) -> list[str]:
    """Class folders that hold no image, of a data set that takes its classes from folders."""
    if dataset.name != "folder" or dataset.root is None:
        return []
    inside = (path.name for path in dataset.root.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))
    return sorted(set(inside) - set(dataset.classes or ()))


def described(args: argparse.Namespace, dataset: Dataset) -> str:
    """The training images in words."""
    return args.trained_on or f"{len(dataset.samples)} images, {dataset.name} {args.data_root}"


def write_trained(
    args: argparse.Namespace, training: Training, recipe: BaseRecipe, net: nn.Module, **facts: Any
) -> Path:
    """OUT/curves.png and OUT/net.safetensors, with the facts of every training beside these; the latter's path. Raises
    UsageError on a full disk."""
    write_atomic(args.out / "curves.png", lambda file: curves(training.progress.rows, file))
    common = {
        "trained_on": described(args, training.photographs.dataset), "recipe": recipe.as_json(),
        "seconds": round(training.progress.seconds, 1), "steps": training.steps,
        "images": len(training.train_indices), "device": device_name(next(net.parameters()).device),
    }  # fmt: skip
    return write_net(args.out, net, facts | common)


def run_command(
    args: argparse.Namespace, train: Callable[[argparse.Namespace], Path], tell: Callable[[Path], str]
) -> int:
    """Carry out a training and print what `tell` says of its result; returns 0, 2 for usage or something missing, 130
    when interrupted."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    prepare_process()
    try:
        file = train(args)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("interrupted; the same command resumes from the last checkpoint", file=sys.stderr)
        return INTERRUPTED
    print(tell(file))
    return OK
