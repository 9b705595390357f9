"""What each loss and each regulariser does to a decoder: `python -m methods.decoder.study --help`.

One decoder is trained per trial, with one seed and one budget; all are judged on the same images beside Grad-CAM.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from bench.api.start import request_and_engine
from bench.classifiers.load import load_classifier
from bench.cli.flags import Parser, path, whole
from bench.cli.parser import parse
from bench.core.errors import UsageError
from bench.core.files import write_atomic
from bench.core.ranges import at_least
from bench.run.config import DEFAULT_MODEL
from bench.run.write import run
from bench.tables.formats import markdown as render_markdown
from methods.decoder import checkpoint
from methods.decoder.training import command as train
from methods.decoder.training import pictures
from methods.training.command import OK, USAGE

REGULARISER = "area(target=0.35)=1,tv=0.02"
"""What every trial of a loss is regularised by: without an area, several losses end in the full map."""
LOSS = "ce=0.5,destroy=0.1"
"""What every trial of a regulariser is trained for."""
METRICS = "AREA,AD,AG,AI,I,D,EP,F1,T"


@dataclass(frozen=True)
class Trial:
    """One decoder of the study."""

    group: str
    name: str
    loss: str = LOSS
    regulariser: str = REGULARISER
    options: tuple[str, ...] = ()
    """Further arguments of the training command."""


LOSSES = (
    *(Trial("losses", loss, f"{loss}=1") for loss in ("mimic", "max", "ce", "kl", "drop", "gain", "keep-odds")),
    *(Trial("losses", loss, f"{loss}=1") for loss in ("destroy", "destroy-entropy", "insertion", "deletion")),
    *(Trial("losses", loss, f"{loss}=1") for loss in ("soft-insertion", "soft-deletion")),
    Trial("losses", "adversarial", "ce=1", options=("--adversarial", "0.1")),
    Trial("losses", "drop + gain + insertion + deletion", "drop=1,gain=1,insertion=1,deletion=1"),
)
REGULARISERS = (
    Trial("regularisers", "none", regulariser=""),
    Trial("regularisers", "l1", regulariser="l1=1"),
    Trial("regularisers", "l2", regulariser="l2=1"),
    Trial("regularisers", "area 0.35", regulariser="area(target=0.35)=2"),
    Trial("regularisers", "area band 0.2-0.4", regulariser="area-band(low=0.2,high=0.4)=2"),
    Trial("regularisers", "sparsity", regulariser="sparsity=1"),
    Trial("regularisers", "binary", regulariser="binary=2"),
    Trial("regularisers", "compactness", regulariser="compactness=5"),
    Trial("regularisers", "tv", regulariser="tv=2"),
)


def build_parser() -> argparse.ArgumentParser:
    parser = Parser("python -m methods.decoder.study", __doc__)
    add = parser.add_argument
    add("--model", default=DEFAULT_MODEL, help="the classifier that is explained")
    add("--train", type=path, required=True, help="folder of the images to train on")
    add("--val", type=path, required=True, help="folder of an ImageNet validation set with boxes, to judge on")
    add("--train-limit", type=whole(at_least(1)), default=300, help="train on so many images")
    add("--limit", type=whole(at_least(1)), default=60, help="judge on so many images")
    add("--protocol", default="clean", help="protocol to judge by")
    add("--metrics", default=METRICS)
    add("--epochs", type=whole(at_least(1)), default=2)
    add("--options", default="--batch-size 10 --width 64 --taps blocks.4", help="further arguments of every training")
    add(
        "--judging", default="", help="further arguments of the benchmark, as --judges resnet18 --weights resnet18=FILE"
    )
    add("--only", default="", help="trials whose group or name contains this")
    add("--cache", type=path, help="folder of cached features (default: OUT/cache)")
    add("--out", type=path, default=Path("results/decoder_study"))
    return parser


def arguments(trial: Trial, args: argparse.Namespace) -> list[str]:
    """Of the training command."""
    out = args.out / trial.group / trial.name.replace(" ", "_")
    return [
        "--model", args.model, "--data-root", str(args.train), "--limit", str(args.train_limit), "--out", str(out),
        "--cache", str(args.cache or args.out / "cache"), "--epochs", str(args.epochs), "--loss", trial.loss,
        "--regulariser", trial.regulariser, *args.options.split(), *trial.options,
    ]  # fmt: skip


def learn(trial: Trial, args: argparse.Namespace) -> Path:
    """Train a trial's decoder, or what is left of it; its checkpoint. Raises UsageError."""
    asked = train.build_parser().parse_args(arguments(trial, args))
    file: Path = asked.out / "decoder.safetensors"
    return file if file.exists() else train.train(asked)


def judge(files: Sequence[Path], args: argparse.Namespace) -> pd.DataFrame:
    """The leaderboard of these decoders and Grad-CAM. Raises UsageError."""
    specs = ["grad-cam", *(spec(file) for file in files)]
    _, further = parse(args.judging.split())
    config = dataclasses.replace(
        further, model=args.model, data="imagenet", data_root=args.val, limit=args.limit, protocol=args.protocol,
        methods=",".join(specs), controls=False, metrics=args.metrics, out=args.out / "judged",
    )  # fmt: skip
    if run(*request_and_engine(config, "")):
        raise UsageError("the decoders could not be judged; see above")
    return pd.read_csv(args.out / "judged" / "leaderboard.csv").set_index("method")


def spec(file: Path) -> str:
    return f"decoder(weights={file})"


def tabulate(group: str, names: dict[str, str], board: pd.DataFrame, out: Path) -> None:
    """OUT/GROUP.csv and .md: a row per trial, a column per metric, in the order of the trials."""
    metrics = [name.removesuffix("_n") for name in board.columns if name.endswith("_n")]
    columns = [*metrics, *(["T_s"] if "T_s" in board.columns else [])]
    table = board.loc[list(names), columns].rename(index=names).rename_axis(group)
    write_atomic(out / f"{group}.csv", lambda path: table.to_csv(path, float_format="%.4f"))
    rows = [[name, *(f"{value:.3g}" for value in row)] for name, *row in table.itertuples(name=None)]
    text = render_markdown.table([group, *columns], rows)
    write_atomic(out / f"{group}.md", lambda path: path.write_text(text + "\n"))


def study(args: argparse.Namespace) -> None:
    """Train, judge, and draw. Raises UsageError."""
    trials = [trial for trial in (*LOSSES, *REGULARISERS) if args.only in trial.group or args.only in trial.name]
    if not trials:
        raise UsageError(f"--only {args.only!r} names no trial of the study")
    files = {trial: learn(trial, args) for trial in trials}
    board = judge(list(files.values()), args)
    classifier = load_classifier(args.model)
    for group in dict.fromkeys(trial.group for trial in trials):
        members = {trial: file for trial, file in files.items() if trial.group == group}
        names = {"grad-cam": "Grad-CAM (untrained)"} | {spec(file): trial.name for trial, file in members.items()}
        tabulate(group, names, board, args.out)
        decoders = {trial.name: checkpoint.load(file) for trial, file in members.items()}
        write_atomic(args.out / f"{group}.png", partial(pictures.compared, classifier, decoders))


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    try:
        study(args)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    return OK


if __name__ == "__main__":
    sys.exit(main())
