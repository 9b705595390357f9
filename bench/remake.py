"""Make published tables again from their stored rows, under today's rules of ranks and intervals.

    python -m bench.remake FOLDER ...

Needs neither images nor weights nor maps: rows are those of `scores/`, the facts of a method (time, passes, equal maps)
those of `leaderboard.csv`, the provenance that of `run.json`. Every value must come out as it stands in the old table;
only ranks, intervals and what rests on them may move.
"""

import dataclasses
import json
import math
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bench.core.errors import UsageError
from bench.core.files import write_json
from bench.core.metric import METRICS, Metric
from bench.core.protocols import protocol
from bench.core.version import own_version
from bench.plugins import register
from bench.report.figure import save
from bench.report.figures import leaderboard, transfer
from bench.run.judgements import with_judgements
from bench.scoring.judge import PANEL, panel_metric
from bench.tables.accuracy import Accuracy
from bench.tables.leaderboard import Leaderboard, MethodRow, build_leaderboard

CLASSES = 1000
"""All published tables are of ImageNet classifiers."""
SEES_BOXES = ("box-oracle", "box-context")


def metrics_of(table: pd.DataFrame, scores: pd.DataFrame) -> list[Metric]:
    """The metrics of a table; those of a judge with the key under which the rows have them, those of a panel as the
    mean over the judges in the table."""
    names = [column.removesuffix("_n") for column in table if column.endswith("_n") and not column.endswith("agreed_n")]
    found: list[Metric] = []
    for name in names:
        base, _, judge = name.partition(" (")
        metric = METRICS[base].value
        if judge == f"{PANEL})":
            parts = [one for one in names if one.startswith(f"{base} (") and one != name]
            found.append(panel_metric(metric, [judged(one, scores, names) for one in parts]))
        else:
            found.append(judged(name, scores, names) if judge else metric)
    return found


def judged(name: str, scores: pd.DataFrame, names: Sequence[str]) -> Metric:
    """The metric of a judge's column."""
    base, _, judge = name.partition(" (")
    metric = METRICS[base].value
    (column,) = (column for column in scores if re.fullmatch(rf"{re.escape(name)} [0-9a-f]+", column))
    title = f"{metric.title}, judge {judge.removesuffix(')')}"
    ranks = f"{base} ({PANEL})" not in names
    return dataclasses.replace(metric, name=name, title=title, judge=column.removeprefix(f"{name} "), ranks=ranks)


def method_rows(table: pd.DataFrame, timing: pd.DataFrame, device: str) -> list[MethodRow]:
    def text(value: object) -> str:
        return "" if pd.isna(value) else str(value)

    times = timing[timing.batch == 1].set_index("method") if len(timing) else timing
    rows = []
    for row in table.itertuples():
        facts = {}
        if row.method in times.index:
            time = times.loc[row.method]
            facts = {name: time[name] for name in ("seconds", "seconds_low", "seconds_high")}
            facts["timed_on"] = "" if time.device == device else time.device
        rows.append(
            MethodRow(
                row.method,
                row.control,
                row.status,
                text(row.reason),
                text(row.equal_to) or None,
                passes=text(row.passes),
                trained_on=text(row.trained_on),
                sees_boxes=row.method in SEES_BOXES,
                **facts,
            )  # fmt: skip
        )
    return rows


def remade(folder: Path) -> Leaderboard:
    """The folder's table. Raises UsageError where it has no rows or a value would change."""
    files = sorted((folder / "scores").glob("*.parquet"))
    if not files:
        raise UsageError(f"{folder} holds no scores/, so its table cannot be made again")
    table, images = pd.read_csv(folder / "leaderboard.csv"), pd.read_csv(folder / "images.csv")
    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    timing = pd.read_csv(folder / "timing.csv") if (folder / "timing.csv").exists() else pd.DataFrame()
    rows = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    have = rows.groupby("key").have.agg(lambda lists: sorted({tag for tags in lists for tag in tags}))
    rows = rows.drop(columns="have").groupby("key").first().assign(have=have).reset_index()
    rows = rows[rows.method.isin(table.method) & rows.image.isin(images.id)]
    metrics = metrics_of(table, rows)
    rows = with_judgements(rows.rename(columns={metric.column: metric.name for metric in metrics}), metrics)
    facts |= {"cambench": own_version(), "top-1": str(Accuracy.of(rows, CLASSES))}
    command = shlex.split(facts["command"])
    name = command[command.index("--protocol") + 1] if "--protocol" in command else "clean"
    methods = method_rows(table, timing, facts["device"])
    board = build_leaderboard(methods, rows, metrics, protocol(name), facts, facts["seed"])
    check(board, table.set_index("method"))
    return board


def check(board: Leaderboard, table: pd.DataFrame) -> None:
    """Raises UsageError when a value or its number of images is not that of the old table."""
    for line in board.lines:
        for metric in board.metrics:
            old, cell = table.loc[line.method.label], line.cells.get(metric.name)
            value, n = (cell.value, cell.n) if cell else (math.nan, 0)
            both = (value, old[metric.name])
            same = all(map(math.isnan, both)) or math.isclose(*both, rel_tol=1e-5, abs_tol=1e-9)
            if not same or n != old[f"{metric.name}_n"]:
                raise UsageError(
                    f"{line.method.label}, {metric.name}: {value} over {n} images, but the table has "
                    f"{old[metric.name]} over {old[f'{metric.name}_n']}"
                )


def main(folders: list[str]) -> int:
    register()
    try:
        for folder in map(Path, folders):
            board = remade(folder)
            board.write(folder)
            for name, draw in {"leaderboard": leaderboard.draw, "transfer": transfer.draw}.items():
                if (drawn := draw(board)) is not None:
                    save(drawn, folder / "figures", name)
            write_json(folder / "run.json", dict(board.provenance))
            print(folder, len(board.ranked), "ranked", len(board.unranked), "not ranked")
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
