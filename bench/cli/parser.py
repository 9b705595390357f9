"""The flags of the command line, and the configuration that they state. Nothing here imports torch: help is instant."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

from bench.cli.flags import Parser, path, real
from bench.core.output_name import OUTPUTS
from bench.core.program import program
from bench.core.ranges import above
from bench.run.config import DEFAULT_MODEL, RunConfig, read_config

DEFAULT = RunConfig()


EXPLAIN = "explain"
"""`cambench explain a.jpg` is `--image a.jpg`."""
OF_IMAGES = {"methods": "grad-cam,opti-cam,decoder", "controls": False}
"""Settings of `--image` that are not given."""


def build_parser(explaining: bool = False) -> argparse.ArgumentParser:
    """The parser. Flags that are not given leave no attribute, so that `--config` and defaults show through."""
    parser = Parser(program(), "Rank explainers of an image classifier under one protocol.")
    add = parser.add_argument
    add("--list", action="store_true", help="print methods, metrics, classifiers, data sets and protocols, and stop")
    add("--version", action="store_true", help="print the version, and stop")
    add("--config", type=path, metavar="FILE", help="YAML, TOML or JSON with the flags' names and values, or the "
        "run.json of a results folder; flags override it")  # fmt: skip
    name = "image" if explaining else "--image"
    add(name, default=[], nargs="+", type=path, metavar="FILE", help="explain these photographs: a panel of each, maps "
        f"and scores, in results/explain/ (methods unless named: {OF_IMAGES['methods']})")  # fmt: skip
    add("--box", type=real(above(0, 1)), metavar="SHARE", help="on the panels of --image: the box around the largest "
        "part of a map that is at least SHARE of its maximum, and the true one if --boxes has it")  # fmt: skip
    add("--compare", nargs=2, default=[], type=path, metavar=("RUN_A", "RUN_B"), help="what differs between two "
        "results folders; --force where their protocols differ")  # fmt: skip
    add("--table", metavar="NAME", help="a paper's table beside ours: see --list; --model, --methods, --metrics select")
    add("-v", "--verbose", action="store_true", help="show tracebacks of failing methods")
    group = parser.add_argument_group("network")
    setting(group, "--model", f"a name of --list, timm:NAME, or FILE.py:NAME (default: {DEFAULT_MODEL})")
    setting(group, "--weights", ".pth or .safetensors; repeatable", action="append", metavar="[MODEL=]FILE")
    setting(group, "--layer", "target layer, a module path such as layer4.2; several with commas between are rows each "
            "(default: the papers')", metavar="PATH[,PATH…]")  # fmt: skip
    setting(group, "--mean", "mean colour, in [0, 1], by which the network's images are normalised (default: the "
            "network's own facts; else 0: images enter as they are)", type=floats, metavar="R,G,B")  # fmt: skip
    setting(group, "--std", "standard deviation, likewise", type=floats, metavar="R,G,B")
    setting(group, "--input-size", "side of the network's input in pixels", type=int, metavar="S")
    setting(group, "--classes", "names of the network's classes, one per line in the order of its outputs, or JSON",
            type=path, metavar="FILE")  # fmt: skip
    setting(group, "--output", f"what the network's numbers are: {', '.join(OUTPUTS)} (default: logits)",
            metavar="MEANING")  # fmt: skip
    setting(group, "--judges", "networks that score the same derived images too, in columns of their own and of their "
            "panel, or none (default: the embedded networks beside an embedded one)",
            metavar="MODEL[,MODEL…]")  # fmt: skip
    setting(group, "--judged", "metrics that the judges score (default: AD,AG,AI)")
    group = parser.add_argument_group("rows and columns")
    setting(group, "--methods", "names or specs such as 'grad-cam,opti-cam(steps=100)'; all; all,library")
    setting(group, "--no-controls", "leave out the sanity controls", action="store_false", dest="controls")
    setting(group, "--maps", "precomputed maps ID.npy, as a row; repeatable", action="append", type=path, metavar="DIR")
    setting(group, "--metrics", "comma-separated names; T is the timing pass (default: AD,AG,AI,I,D,T, with boxes "
            "AD,AG,AI,I,D,EP,F1,LE,T)")  # fmt: skip
    setting(group, "--plugin", "registers further explainers, metrics, …; repeatable", action="append",
            metavar="FILE.py")  # fmt: skip
    group = parser.add_argument_group("images and protocol")
    setting(group, "--data", "data set: see --list (default: samples; with --table the paper's)")
    setting(group, "--data-root", "folder of the data set", type=path)
    setting(group, "--boxes", "CSV (or folder) with object boxes, for data sets that do not bring their own", type=path)
    setting(group, "--limit", "use so many images; smaller limits are subsets of larger ones", type=int, metavar="N")
    setting(group, "--skip", "leave out the N images that --limit N would take", type=int, metavar="N")
    setting(group, "--protocol", "protocol, with changed fields as in clean+target=true (default: quick for samples, "
            "grid for grid, else clean)")  # fmt: skip
    setting(group, "--target", "explained class: true, predicted, second, third, least, top3, or a class (name or "
            "index); several with commas between are rows each; overrides the protocol's",
            metavar="CLASS[,CLASS…]")  # fmt: skip
    setting(group, "--seed", "seed of everything random", type=int)
    group = parser.add_argument_group("how it is computed")
    setting(group, "--device", "cpu, cuda, cuda:1, … (default: cuda where there is a GPU, else cpu)")
    setting(group, "--batch-size", "images per chunk and per forward, fixed for the run; auto measures at its start "
            "which size is fastest", type=batch_size, metavar="N")  # fmt: skip
    setting(group, "--dtype", "of the scoring forwards (maps stay in float32); refused where a metric's mean over the "
            "first images moves by over 1 point", choices=("float32", "bfloat16", "float16"))  # fmt: skip
    setting(group, "--channels-last", "memory layout of the scoring forwards; at most 0.01 points", action="store_true")
    setting(group, "--compile", "torch.compile for the scoring forwards; at most 0.01 points", action="store_true")
    setting(group, "--engine", "who computes: local, this process, or ray, a Ray cluster")
    setting(group, "--ray-address", "auto, HOST:PORT, or local to start Ray on this machine alone")
    group = parser.add_argument_group("results")
    setting(group, "--out", "results folder (default: results/MODEL[-LAYER]-DATA[-ROOT]-PROTOCOL, the layer where it "
            "is not the usual one, the name of --data-root for --data folder)", type=path)  # fmt: skip
    setting(group, "--figure-images", "images of the figures, by id (default: six by hash)", metavar="ID,ID,…")
    setting(group, "--no-report", "leave out figures and page", action="store_false", dest="report")
    setting(group, "--tex", "LaTeX of a paper's --table: paper, its own layout with our numbers, or compare, the paper "
            "above ours (default: compare)", choices=("paper", "compare"))  # fmt: skip
    setting(group, "--full", "print every interval, however wide the terminal is", action="store_true")
    setting(group, "--json", "print the table as JSON, for programs", action="store_true")
    setting(group, "--sort", "metric by which the printed rows stand, the best first", metavar="METRIC")
    setting(group, "--force", "compute again what is stored", action="store_true")
    setting(group, "--stored", "tables of what is stored already; compute nothing. A table never replaces a fuller "
            "one: it is written to OUT/views/ then", action="store_true")  # fmt: skip
    return parser


def setting(group: Any, flag: str, text: str, **options: Any) -> None:
    """Add the flag of a field of RunConfig, with the field's default in its help where it has a plain one."""
    default = getattr(DEFAULT, options.get("dest", flag.removeprefix("--").replace("-", "_")))
    plain = isinstance(default, str | int) and not isinstance(default, bool)
    shown = f" (default: {default})" if plain and "(default:" not in text else ""
    group.add_argument(flag, help=text + shown, default=argparse.SUPPRESS, **options)


def floats(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def batch_size(text: str) -> int | str:
    try:
        return text if text == "auto" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a whole number nor auto") from None


def configuration(args: argparse.Namespace) -> RunConfig:
    """What the flags state, over what `--config` states. Raises UsageError."""
    names = {field.name for field in dataclasses.fields(RunConfig)}
    flags = {name: value for name, value in vars(args).items() if name in names}
    repeated = {name: tuple(value) for name, value in flags.items() if isinstance(value, list)}
    unless_given = OF_IMAGES if args.image else {}
    return RunConfig(**{**unless_given, **(read_config(args.config) if args.config else {}), **flags, **repeated})


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, RunConfig]:
    """The flags that are no settings of a run, and the settings."""
    explaining = argv[:1] == [EXPLAIN]
    parser = build_parser(explaining)
    args = parser.parse_args(argv[1:] if explaining else argv)
    if args.box is not None and not args.image:
        parser.error("--box draws on the panels of --image")
    if len(commands := [flag for flag in ("table", "image", "compare") if getattr(args, flag)]) > 1:
        parser.error(f"--{commands[0]} and --{commands[1]} are two commands")
    return args, configuration(args)
