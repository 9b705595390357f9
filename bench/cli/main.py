"""The command line: from flags to a request, and from errors to one line and an exit code."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import shlex
import signal
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench.classifiers import DEFAULT, load_classifier
from bench.classifiers.facts import read_classes
from bench.cli.console import tolerant_console
from bench.cli.flags import Parser, path
from bench.cli.listing import listing
from bench.core.architecture import CLASSIFIERS
from bench.core.classifier import Classifier
from bench.core.dataset import DATASETS, Dataset, load_dataset
from bench.core.device import check_device, prepare_process
from bench.core.errors import UsageError, on_interrupt, plural, suggest
from bench.core.explainer import EXPLAINERS
from bench.core.metric import METRICS, Metric
from bench.core.net.precision import Precision
from bench.core.output import OUTPUTS
from bench.core.program import program
from bench.core.protocols import Protocol, protocol
from bench.core.ranges import at_least, within
from bench.core.refusal import refusal
from bench.core.spec import split_list
from bench.core.user_code import load_file
from bench.data.labels import Names, match_labels, same_classes
from bench.paper.geometry import is_geometry
from bench.paper.run import Asked, run_table
from bench.paper.tables import PaperTable, load_table
from bench.run.batch_size import find_batch
from bench.run.carry_out import run
from bench.run.engine import choose_engine
from bench.run.folders import default_out, folder
from bench.run.provenance import described
from bench.run.request import Request
from bench.run.select_sources import choose_sources
from bench.scoring.judge import Judge

log = logging.getLogger(__name__)

CROP_ROUNDING = 0.005
"""Recipes round the resized side to pixels: 299 of 342 is meant as 224 of 256."""
OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
DEFAULT_METRICS = "AD,AG,AI,I,D,T"
WITH_BOXES = "AD,AG,AI,I,D,EP,F1,LE,T"
NUMBERS = {"batch_size": within(1, 4096), "limit": at_least(1), "skip": at_least(0), "seed": within(0, 2**63 - 1)}
"""What the flags may be. A batch is made in full even for fewer images: 4096 images of 224 × 224 are 2.5 GB before any
network has seen them. A seed is hashed for each image, and torch's generators take 63 bits."""


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(program(), "Rank explainers of an image classifier under one protocol.")
    add = parser.add_argument
    add("--list", action="store_true", help="print methods, metrics, classifiers, data sets and protocols, and stop")
    add("--model", help=f"a name of --list, timm:NAME, or FILE.py:NAME (default: {DEFAULT})")
    add("--weights", action="append", default=[], metavar="[MODEL=]FILE", help=".pth or .safetensors; repeatable")
    add("--mean", type=floats, metavar="R,G,B", help="mean colour, in [0, 1], by which the network's images are "
        "normalised (default: the network's own facts; else 0: images enter as they are)")  # fmt: skip
    add("--std", type=floats, metavar="R,G,B", help="standard deviation, likewise")
    add("--input-size", type=int, metavar="S", help="side of the network's input in pixels")
    add("--classes", type=path, metavar="FILE", help="names of the network's classes, one per line in the order of its "
        "outputs, or JSON")  # fmt: skip
    add("--output", metavar="MEANING", help=f"what the network's numbers are: {', '.join(OUTPUTS)} (default: logits)")
    add("--judge", metavar="MODEL", help="network that scores the same derived images too, in columns of its own")
    add("--judged", default="AD,AG,AI", help="metrics that the judge scores")
    add("--layer", help="target layer, a module path such as layer4.2 (default: the papers')")
    add("--methods", default="all", help="names or specs such as 'grad-cam,opti-cam(steps=100)'; all; all,library")
    add("--no-controls", action="store_true", help="leave out the sanity controls")
    add("--maps", action="append", default=[], type=path, metavar="DIR", help="precomputed maps ID.npy, as a row")
    add(
        "--metrics",
        help=f"comma-separated names; T is the timing pass (default: {DEFAULT_METRICS}, with boxes {WITH_BOXES})",
    )
    add("--data", help="data set: see --list (default: samples; with --table the paper's)")
    add("--data-root", type=path, help="folder of the data set")
    add("--boxes", type=path, help="CSV (or folder) with object boxes, for data sets that do not bring their own")
    add("--limit", type=int, help="use so many images; smaller limits are subsets of larger ones")
    add("--skip", type=int, default=0, metavar="N", help="leave out the N images that --limit N would take")
    add(
        "--protocol",
        help="protocol, with changed fields as in clean+target=true (default: quick for samples, grid for grid, else "
        "clean)",
    )
    add(
        "--target", help="explained class: true, predicted, least, or a class (name or index); overrides the protocol's"
    )
    add("--table", metavar="NAME", help="a paper's table beside ours: see --list; --model, --methods, --metrics select")
    add("--seed", type=int, default=0, help="seed of everything random")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda, cuda:1, …")
    add("--batch-size", type=batch_size, default=20, metavar="N", help="images per chunk and per forward, fixed for "
        "the run; auto measures at its start which size is fastest")  # fmt: skip
    add("--dtype", choices=("float32", "bfloat16", "float16"), default="float32", help="of the scoring forwards (maps "
        "stay in float32); refused where a metric's mean over the first images moves by over 1 point")  # fmt: skip
    add("--channels-last", action="store_true", help="memory layout of the scoring forwards; at most 0.01 points")
    add("--compile", action="store_true", help="torch.compile for the scoring forwards; at most 0.01 points")
    add("--engine", choices=("local", "ray"), default="local", help="who computes: this process, or a Ray cluster")
    add("--ray-address", default="auto", help="auto, HOST:PORT, or local to start Ray on this machine alone")
    add("--out", type=path, help="results folder (default: results/MODEL[-LAYER]-DATA[-ROOT]-PROTOCOL, the layer where "
        "it is not the usual one, the name of --data-root for --data folder)")  # fmt: skip
    add("--force", action="store_true", help="compute again what is stored")
    add("--stored", action="store_true", help="tables of what is stored already; compute nothing. A table never "
        "replaces a fuller one: it is written to OUT/views/ then")  # fmt: skip
    add("--plugin", action="append", default=[], metavar="FILE.py", help="registers further explainers, metrics, …")
    add("-v", "--verbose", action="store_true", help="show tracebacks of failing methods")
    return parser


def floats(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def stated_facts(args: argparse.Namespace) -> dict[str, Any]:
    """What the flags say of the network."""
    facts = {"mean": args.mean, "std": args.std, "input_size": args.input_size, "output": args.output,
             "classes": read_classes(args.classes) if args.classes else None}  # fmt: skip
    return {name: value for name, value in facts.items() if value is not None}


def batch_size(text: str) -> int | str:
    try:
        return text if text == "auto" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a whole number nor auto") from None


def resolve_protocol(args: argparse.Namespace, dataset: Dataset, classifier: Classifier) -> Protocol:
    chosen = protocol(args.protocol or dataset.protocol)
    if args.target:
        chosen = chosen.with_fields(target=target_class(args.target, dataset, classifier))
    if chosen.target.isdecimal() and int(chosen.target) >= classifier.num_classes:
        raise unknown_class(chosen.target, classifier, classifier.classes)
    within(1, classifier.input_size**2).check(
        f"protocol field steps, for the pixels of {classifier.name},", chosen.steps
    )
    return chosen


def unknown_class(text: str, classifier: Classifier, names: Sequence[str]) -> UsageError:
    near = suggest(text.lower(), [name.lower() for name in names])
    return UsageError(f"--target {text!r} is no class of {classifier.name} (0 … {classifier.num_classes - 1}); {near}")


def target_class(text: str, dataset: Dataset, classifier: Classifier) -> str:
    """`true`, `predicted`, `least` or the index of a class given by index, name, synset or first synonym; the names are
    the network's or, where it states none, the data set's, once labels are matched."""
    if text in ("true", "predicted", "least"):
        return text
    named = dataset.classes and len(dataset.classes) == classifier.num_classes and not classifier.stated_classes
    names = Names(dataset.classes if named and dataset.classes else classifier.classes)
    found = names.find(text)
    if len(found) == 1:
        return str(found[0])
    if found:
        choice = " and ".join(f"{index} ({names.names[index]})" for index in found)
        raise UsageError(f"--target {text} names {len(found)} classes of {classifier.name}: {choice}; give the index")
    if text.isdecimal() and int(text) < classifier.num_classes:
        return text
    raise unknown_class(text, classifier, names.names)


def resolve_metrics(text: str, dataset: Dataset | None = None) -> tuple[tuple[Metric, ...], bool]:
    """The metrics in the order given, and whether the timing pass is wanted.

    Raises UsageError for one that needs boxes or masks which no image of the data set has.
    """
    names = list(dict.fromkeys(split_list(text)))
    if not names:
        raise UsageError(f"--metrics is empty; {suggest('', [entry.name for entry in METRICS])}")
    metrics = tuple(METRICS[name].value for name in names if name != "T")
    for metric in metrics:
        if dataset and metric.needs and not dataset.has(metric.needs):
            raise UsageError(
                f"{metric.name} needs object {metric.needs}, and {dataset.name} has none"
                + ("; name a CSV or a folder of VOC files with --boxes" if metric.needs == "boxes" else "")
            )
    return metrics, "T" in names


def split_weights(text: str) -> tuple[str, Path]:
    """`--weights [MODEL=]FILE` as the model, "" for none, and the file. Names of both may hold "=": what exists as a
    file wins, the whole text first."""
    parts = [("", text), *((text[:i], text[i + 1 :]) for i, letter in enumerate(text) if letter == "=")]
    exist = ((name, file) for name, file in parts if exists(Path(file).expanduser()))
    name, file = next(exist, parts[min(1, len(parts) - 1)])
    return name, Path(file).expanduser()


def exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long a name, or none that a file system knows
        return False


def weights_for(model: str, given: Sequence[str]) -> Path | None:
    """The file that `--weights [MODEL=]FILE` names for this model."""
    chosen = None
    for text in given:
        name, file = split_weights(text)
        if name in ("", model):
            chosen = file
    if given and chosen is None:
        raise UsageError(f"--weights {' '.join(given)} names no file for {model}; write --weights {model}=FILE")
    return chosen


def load_judge(args: argparse.Namespace, classifier: Classifier) -> Judge | None:
    """The network of --judge, with weights that --weights gives to its name alone."""
    if args.judge is None:
        return None
    own = [text for text in args.weights if split_weights(text)[0] == args.judge]
    net = load_classifier(args.judge, weights=weights_for(args.judge, own), device=classifier.device)
    if not same_classes(net, classifier):
        raise UsageError(
            f"judge {net.name} names its classes otherwise than {classifier.name}, {net.classes[0]} first and not "
            f"{classifier.classes[0]}; name another with --judge"
        )
    return Judge(net, classifier)


def preparation(classifier: Classifier, chosen: Protocol) -> list[str]:
    """A remark where the network's own recipe resizes and crops otherwise than the protocol does."""
    ways = {"resize-crop": 224 / 256, "fit-crop": 1.0, "squash": None}
    used, own = ways[chosen.pixels], classifier.crop_pct
    if own is None or (used is not None and abs(used - own) < CROP_ROUNDING):
        return []
    shown = "squashed" if used is None else f"resized with crop {used:.3g}"
    return [f"{shown}, {classifier.interpolation}; this network's own recipe is crop {own:.3g}"]


def check_labels(dataset: Dataset, classifier: Classifier, chosen: Protocol) -> None:
    """Refuse labels that the classifier does not know, and a protocol that needs labels where there are none."""
    labels = [sample.label for sample in dataset.samples if sample.label is not None]
    if labels and max(labels) >= classifier.num_classes:
        raise UsageError(
            f"{dataset.name} has labels up to {max(labels)}, but {classifier.name} knows {classifier.num_classes} "
            "classes; use a net of this data set's classes"
        )
    if chosen.target == "true" and len(labels) < len(dataset.samples):
        raise UsageError(
            f"protocol {chosen.name} explains the true class, but {dataset.name} has "
            f"{plural(len(dataset.samples) - len(labels), 'image')} without a label"
            f"{''.join(f' ({remark})' for remark in dataset.remarks if 'label' in remark)}; add --target predicted"
        )


def table_request(args: argparse.Namespace, command: str) -> tuple[PaperTable, Asked]:
    """A paper's table and what the flags ask of it. Raises UsageError for flags that the table itself decides."""
    table = load_table(args.table)
    for flag in ("protocol", "target", "layer", "judge"):
        if getattr(args, flag):
            raise UsageError(f"--table {table.name} fixes what --{flag} would change; run it without --table instead")
    if args.maps:
        raise UsageError("--table knows the paper's methods only; compare --maps in a run without --table")
    data = args.data or table.data
    boxes = args.boxes if args.data_root is None and is_geometry(args.boxes) else None
    if boxes and (args.limit is not None or args.skip):
        raise UsageError("--limit and --skip choose images, and boxes alone are always taken whole; leave them out")
    out = args.out or Path("results")

    def request(classifier: str, specs: Sequence[str], metrics: Sequence[str]) -> Request:
        chosen = {"model": classifier, "methods": ",".join(specs) or "all", "metrics": ",".join(metrics) or "T"}
        weights = [text for text in args.weights if split_weights(text)[0] in ("", classifier)]
        fixed = {"protocol": table.protocol, "data": data, "no_controls": True, "weights": weights,
                 "out": out / folder(classifier, data, table.protocol)}  # fmt: skip
        return build_request(argparse.Namespace(**vars(args) | chosen | fixed), command)

    methods = None if args.methods == "all" else [item.partition("(")[0] for item in split_list(args.methods)]
    metrics = None if args.metrics is None else split_list(args.metrics)
    return table, Asked(request, out, args.model, methods, metrics, boxes)


def build_request(args: argparse.Namespace, command: str) -> Request:
    """Everything the flags name, found and checked. Raises UsageError at the first thing that is missing."""
    for flag, allowed in NUMBERS.items():
        value = getattr(args, flag)
        if value not in (None, "auto"):
            allowed.check(f"--{flag.replace('_', '-')}", value)
    protocol(args.protocol or "clean")
    if args.metrics is not None:
        resolve_metrics(args.metrics)  # a misspelt metric or method is told before a network is loaded
    choose_sources(args.methods, maps=args.maps)
    engine = choose_engine(args.engine, args.ray_address, partial(rebuild, args, command))
    dataset = load_dataset(args.data or "samples", args.data_root, args.boxes)
    device = check_device(args.device)
    model = args.model or DEFAULT
    own = [text for text in args.weights if model == args.judge or split_weights(text)[0] != args.judge]
    classifier = load_classifier(
        model, layer=args.layer, weights=weights_for(model, own), device=device, facts=stated_facts(args)
    )
    if model not in CLASSIFIERS:
        print(described(classifier), flush=True)
    if dataset.compose:
        composed, classifier = dataset.compose(classifier)
        dataset = dataclasses.replace(composed, name=dataset.name)
    dataset = match_labels(dataset, classifier)
    classifier = classifier.at(Precision(getattr(torch, args.dtype), args.channels_last, args.compile))
    if args.batch_size == "auto":  # the workers of an engine get what was found
        args.batch_size = find_batch(classifier, min(len(dataset.samples), args.limit or len(dataset.samples)))
    default = dataset.metrics or (WITH_BOXES if dataset.has("boxes") else DEFAULT_METRICS)
    metrics, timing = resolve_metrics(default if args.metrics is None else args.metrics, dataset)
    judge = load_judge(args, classifier)
    if judge and not resolve_metrics(args.judged, dataset)[0]:
        raise UsageError(f"--judged {args.judged} names no metric that a judge can score; write AD, AG, AI, I or D")
    if judge:
        metrics += tuple(judge.metric(metric) for metric in resolve_metrics(args.judged, dataset)[0])
    chosen = resolve_protocol(args, dataset, classifier)
    check_labels(dataset, classifier, chosen)
    remarks = [*dataset.remarks, *preparation(classifier, chosen)]
    for remark in remarks:
        log.warning("%s", remark)
    sources = choose_sources(args.methods, protocol=chosen, controls=not args.no_controls, maps=args.maps)
    return Request(
        classifier=classifier, dataset=dataset, protocol=chosen, metrics=metrics, sources=sources,
        out=args.out or default_out(classifier, dataset, chosen), limit=args.limit, skip=args.skip, judge=judge,
        seed=args.seed,
        batch=args.batch_size, timing=timing, force=args.force, compute=not args.stored, command=command, engine=engine,
        remarks=tuple(remarks),
    )  # fmt: skip


def rebuild(args: argparse.Namespace, command: str) -> Request:
    """The same request in a worker's process, on the GPU that the worker has for itself."""
    prepare_process()
    load_plugins(args.plugin)
    here = {"engine": "local", "device": torch.device(args.device).type}
    return build_request(argparse.Namespace(**vars(args) | here), command)


def load_plugins(files: Sequence[str]) -> None:
    for registry in (EXPLAINERS, METRICS, CLASSIFIERS, DATASETS):
        registry.load_entry_points()
    for file in files:
        load_file(file)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0 all ok or skipped, 1 some method failed, 2 usage or something missing, 130
    interrupted."""
    with tolerant_console():
        try:
            return command_line(list(sys.argv[1:] if argv is None else argv))
        except UsageError as error:
            print(f"error: {error}", file=sys.stderr)
            return USAGE
        except OSError as error:
            log.debug("refused", exc_info=True)
            print(f"error: {refusal(error)}", file=sys.stderr)
            return USAGE
        except KeyboardInterrupt:
            print("interrupted; what is finished is stored, and the same command resumes from here", file=sys.stderr)
            return INTERRUPTED


def command_line(argv: list[str]) -> int:
    args = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.DEBUG if args.verbose else logging.WARNING, format="%(levelname)s: %(message)s")
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    logging.getLogger("PIL").setLevel(logging.WARNING)
    prepare_process()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, on_interrupt)
    load_plugins(args.plugin)
    if args.list:
        print(listing())
        return OK
    command = shlex.join([program(), *argv])
    failed = run_table(*table_request(args, command)) if args.table else run(build_request(args, command))
    return FAILED if failed else OK
