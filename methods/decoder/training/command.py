"""Train a saliency decoder for a classifier on any folder of images: `python -m methods.decoder.train --help`."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors.torch

from bench.classifiers.load import load_classifier
from bench.cli.flags import Parser, path, real, whole
from bench.core.classifier import Classifier, state_digest
from bench.core.dataset import Dataset
from bench.core.device import device_name
from bench.core.errors import UsageError
from bench.core.explainer import EXPLAINERS
from bench.core.files import write_atomic
from bench.core.program import command
from bench.core.ranges import above, at_least, within
from bench.core.seeds import content_hash, forked_rng, seed_for
from bench.core.spec import split_list
from bench.data.labels import match_labels
from bench.data.maps import PrecomputedMaps
from bench.run.config import DEFAULT_MODEL
from methods._backgrounds import BACKGROUNDS
from methods._companions import load_companions
from methods.decoder import checkpoint
from methods.decoder.architecture import Decoder, DecoderConfig
from methods.decoder.reading import configure
from methods.decoder.training import pictures
from methods.decoder.training.cache import cached
from methods.decoder.training.loop import DecoderTraining
from methods.decoder.training.losses import LOSSES
from methods.decoder.training.photographs import PhotographsWithMaps
from methods.decoder.training.recipe import Recipe
from methods.decoder.training.regularisers import REGULARISERS
from methods.decoder.training.teacher import stored_maps
from methods.training.augment import crop_and_flip
from methods.training.command import add_course, add_images, described, load_images, run_command
from methods.training.loop import Places
from methods.training.photographs import split
from methods.training.pictures import curves

log = logging.getLogger(__name__)

LOSS = "drop=2,gain=2,ce=0.2,soft-insertion=1,soft-deletion=5"
REGULARISER = "area(target=0.28)=4,tv=0.02,compactness=3"
"""The recipe that came out best in `results/published/decoder_study.md`."""


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        "python -m methods.decoder.train",
        "Train a saliency decoder for a classifier. The same command resumes an interrupted training.",
        f"losses: {listed(LOSSES)}; regularisers: {listed(REGULARISERS)}",
    )
    add, flag = parser.add_argument, argparse.BooleanOptionalAction
    add("--model", default=DEFAULT_MODEL, help="a classifier's name, timm:NAME, or FILE.py:NAME")
    add("--weights", type=path, help=".pth or .safetensors of the classifier")
    add("--layer", help="target layer (default: the papers')")
    add_images(parser)
    add_course(parser, epochs=10, batch_size=20)
    add("--cache", type=path, help="folder of cached features, which trainings may share (default: OUT/cache)")
    add("--loss", default=LOSS, help="terms NAME=WEIGHT or NAME(KEY=VALUE)=WEIGHT, by commas")
    add("--regulariser", default=REGULARISER, help="terms as of --loss")
    add("--background", default="black", choices=list(BACKGROUNDS), help="where the map masks the image out")
    add("--companions", default="", help="further networks NAME or NAME=WEIGHTS that the losses ask as well, by commas")
    add("--conditioning", default="cam", choices=["none", "cam", "gradient", "selector"], help="how the class comes in")
    add("--evidence", default="log-odds", choices=["logit", "log-odds"], help="what the class weights are evidence for")
    add("--residual", default=True, action=flag, help="draw what is to be added to the CAM")
    add("--normalised", default=True, action=flag, help="train on min-maxed maps, as protocols show them")
    add("--taps", default="", help="further layers whose maps the decoder sees, by commas")
    add("--width", type=whole(within(1, 4096)), default=64, help="channels of the decoder's first stage")
    add("--mixing", type=whole(within(0, 16)), default=0, help="3 x 3 blocks before the first upsampling")
    add("--stages", type=whole(within(0, 10)), help="doublings of the side (default: to a quarter of the input size)")
    add("--lr", type=real(above(0, 1000)), default=2e-3, help="highest learning rate of Adam")
    add("--weight-decay", type=real(at_least(0)), default=0.0)
    add("--target", default="predicted", choices=["predicted", "true"], help="the class that maps are trained for")
    add("--augment", action="store_true", help="random crops and flips; features are not cached")
    add("--joint", action="store_true", help="train the classifier too (batch statistics fixed); needs --target true")
    add("--net-lr", type=real(above(0, 1000)), default=1e-4, help="the classifier's highest rate, with --joint")
    add("--adversarial", type=real(at_least(0)), default=0.0, help="weight of a discriminator on masked images "
        "(experimental)")  # fmt: skip
    add("--distil-maps", type=path, help="folder ID.npy of the maps that the loss distil imitates")
    add(
        "--teacher",
        default="",
        help="explainer that computes the maps which --distil-maps lacks, as opti-cam(steps=50)",
    )
    add("--init", type=path, help="checkpoint of a decoder to start from")
    return parser


def listed(registry: Any) -> str:
    return ", ".join(str(entry.name) + "".join(f"({p})" for p in entry.parameters.values()) for entry in registry)


def train(args: argparse.Namespace) -> Path:
    """Carry out a training, or what is left of it; the checkpoint's path. Raises UsageError."""
    classifier = load_classifier(args.model, layer=args.layer, weights=args.weights, device=args.device)
    companions = load_companions(args.companions, classifier)
    recipe = build_recipe(args, companions, helpers_before(args, classifier))
    dataset = load_images(args)
    if not classifier.output.exclusive:
        why = f"{classifier.name} gives {classifier.output.name}"
        raise UsageError(f"the losses compare a class with all others, and {why}")
    dataset = match_labels(dataset, classifier)
    for remark in dataset.remarks:
        log.warning("%s", remark)
    check_labels(recipe, dataset, classifier)
    config = configure(
        classifier, split_list(args.taps), stages=args.stages, width=args.width, conditioning=args.conditioning,
        evidence=args.evidence, residual=args.residual, normalised=args.normalised, mixing=args.mixing,
    )  # fmt: skip
    decoder = new_decoder(config, recipe.seed, args.init)
    images = read_photographs(args, recipe, dataset, classifier, config)
    identity = {
        "recipe": recipe.as_json(), "decoder": dataclasses.asdict(config), "classifier": classifier.digest,
        "images": content_hash(*(sample.id for sample in dataset.samples)),
        "stored maps": images.references and content_hash(*map(images.references.digest, usable(images))),
    }  # fmt: skip
    training = DecoderTraining(
        recipe, classifier, decoder, images, split(dataset), Places(args.out, args.save_every), args.workers, companions
    )
    training.run(identity)
    return finish(args, training, described(args, dataset))


def helpers_before(args: argparse.Namespace, classifier: Classifier) -> tuple[str, ...]:
    """The networks behind what the training starts from and what it imitates."""
    found = list(checkpoint.read_facts(args.init).helpers) if args.init else []
    if args.teacher:
        teacher = EXPLAINERS.spec(args.teacher)
        found += teacher.value.helpers(classifier, **teacher.params)
    return tuple(dict.fromkeys(found))


def build_recipe(
    args: argparse.Namespace, companions: Sequence[Classifier] = (), helpers: tuple[str, ...] = ()
) -> Recipe:
    fields = {field.name for field in dataclasses.fields(Recipe)} - {"init", "companions", "helpers"}
    init = hashlib.sha256(args.init.read_bytes()).hexdigest() if args.init else ""
    recipe = Recipe(
        **{name: getattr(args, name) for name in fields},
        init=init,
        companions=tuple(f"{net.name}@{net.digest}" for net in companions),
        helpers=helpers,
    )
    if recipe.imitates != bool(args.distil_maps):
        raise UsageError("the loss distil and --distil-maps need each other")
    return recipe


def check_labels(recipe: Recipe, dataset: Dataset, classifier: Classifier) -> None:
    """Raises UsageError when true classes are asked for and images have none, or other ones than the classifier."""
    labels = [sample.label for sample in dataset.samples]
    if recipe.target == "true" and not all(x is not None and x < classifier.num_classes for x in labels):
        raise UsageError(
            f"--target true: {dataset.name} must have a label below {classifier.num_classes} for every image; "
            "sort the images into one folder per class of the classifier"
        )


def new_decoder(config: DecoderConfig, seed: int, init: Path | None) -> Decoder:
    """A decoder whose weights depend on the seed, or come from a checkpoint of the same shape."""
    with forked_rng(seed_for(seed, "decoder")):
        decoder = Decoder(config)
    if init is not None:
        theirs = checkpoint.read_facts(init).config
        ours, other = dataclasses.asdict(config), dataclasses.asdict(theirs)
        differing = [name for name in ours if ours[name] != other[name] and name != "normalised"]
        if differing:
            raise UsageError(f"{init} is of another shape: {', '.join(f'{n} {other[n]}' for n in differing)}")
        decoder.load_state_dict(checkpoint.load(init).state_dict())
    return decoder


def read_photographs(
    args: argparse.Namespace, recipe: Recipe, dataset: Dataset, classifier: Classifier, config: DecoderConfig
) -> PhotographsWithMaps:
    """The images, with cached features where these never change, and with the maps to be imitated."""
    true = recipe.target == "true"
    size, interpolation = classifier.input_size, classifier.interpolation
    augment = crop_and_flip if recipe.augment else None
    images = PhotographsWithMaps(dataset, size, interpolation, recipe.seed, augment, labelled=true)
    if recipe.augment or recipe.joint:
        return images
    cache = cached(images, classifier, config, true, args.cache or args.out / "cache")
    references: PrecomputedMaps | None = None
    if args.distil_maps:
        references = stored_maps(args.distil_maps, args.teacher, images, cache, classifier)
    return dataclasses.replace(images, known=cache, references=references)


def usable(images: PhotographsWithMaps) -> list[str]:
    """Ids of the images that have a stored map."""
    assert images.references is not None
    missing = set(images.references.missing(sample.id for sample in images.dataset.samples))
    return [sample.id for sample in images.dataset.samples if sample.id not in missing]


def finish(args: argparse.Namespace, training: DecoderTraining, trained_on: str) -> Path:
    """Write the checkpoint, the trained net if there is one, and the pictures."""
    classifier, decoder, out = training.classifier, training.decoder, args.out
    weights = classifier.digest
    if training.recipe.joint:
        net = training.modules["net"]
        weights = state_digest(net)
        state = {name: tensor.cpu().contiguous() for name, tensor in net.state_dict().items()}
        write_atomic(out / "net.safetensors", lambda path: path.write_bytes(safetensors.torch.save(state)))
    facts = checkpoint.Facts(
        decoder.config, classifier.name, weights, trained_on, training.recipe.as_json(),
        {"seconds": round(training.progress.seconds, 1), "epochs": training.recipe.epochs, "steps": training.steps,
         "images": len(training.train_indices), "device": device_name(classifier.device)},
    )  # fmt: skip
    file = out / "decoder.safetensors"
    write_atomic(file, lambda path: path.write_bytes(checkpoint.to_bytes(decoder, facts)))
    write_atomic(out / "curves.png", lambda path: curves(training.progress.rows, path))
    write_atomic(out / "maps.png", lambda path: pictures.maps(classifier, decoder, path))
    result: Path = file
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, 2 for usage or something missing, 130 when interrupted."""
    args = build_parser().parse_args(argv)

    def tell(file: Path) -> str:
        weights = args.out / "net.safetensors" if args.joint else args.weights
        net = (
            args.model + (f" --weights {weights}" if weights else "") + (f" --layer {args.layer}" if args.layer else "")
        )
        return f"judge it: {command()} --model {net} --methods 'decoder(weights={file})'"

    return run_command(args, train, tell)


if __name__ == "__main__":
    sys.exit(main())
