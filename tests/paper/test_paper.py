"""The papers' tables: their numbers and rows as data, measured end to end, and the rows that boxes alone decide."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.core.architecture import CLASSIFIERS, FAMILIES
from bench.core.explainer import EXPLAINERS
from bench.core.metric import METRICS
from bench.core.protocols import protocol
from bench.paper import agreement
from bench.paper.recognition import gflops
from bench.tables import paper_tables as tables
from cambench import load_classifier, main
from tests.places import ASSETS, SHARED

TINY = f"{ASSETS / 'tiny.py'}:build"
COLUMNS = ["model", "method", "metric", "paper", "measured", "low", "high", "difference", "why"]
RECOGNITION = {"Acc_top1", "GFLOPs", "params_M", "param_percent"}
PRINTED = {
    "opticam-classification": ("opticam_classification", 108),
    "opticam-localization": ("opticam_localization", 126),
    "castream-accuracy": ("castream_accuracy", 28),
    "castream-interpretability": ("castream_interpretability", 60),
    "interpretable-gradients-recognition": ("interpgrad_recognition", 4),
    "interpretable-gradients-interpretability": ("interpgrad_interpretability", 50),
    "see-through-walls": ("seethroughwalls_partial", 2),
}


def test_the_tables_are_there():
    assert tables.table_names() == sorted(PRINTED)


@pytest.mark.parametrize("name", PRINTED)
def test_every_printed_cell_has_a_row_that_says_what_it_is(name):
    table = tables.load_table(name)
    assert len(table.printed) == PRINTED[name][1]
    rows = {(row.model, row.method): row for row in table.rows}
    assert len(rows) == len(table.rows)
    printed = {(cell.model, cell.method) for cell in table.printed.itertuples()}
    assert printed <= rows.keys()
    assert printed == rows.keys() or table.extra
    assert protocol(table.protocol).name == table.protocol
    assert set(table.metrics) <= {entry.name for entry in METRICS} | RECOGNITION | {"T"}
    for row in table.rows:
        families = [entry.value.pattern for entry in FAMILIES]
        known = row.classifier in {entry.name for entry in CLASSIFIERS} or any(
            re.fullmatch(pattern, row.classifier or "") for pattern in families
        )
        assert row.why or known
        if row.spec and row.spec.partition("(")[0] in {entry.name for entry in EXPLAINERS}:
            assert EXPLAINERS.spec(row.spec).name
    assert all(math.isfinite(float(text)) for text in table.printed.paper)


@pytest.mark.parametrize("name", [name for name in PRINTED if name != "see-through-walls"])
def test_the_numbers_are_those_that_were_read_from_the_papers(name):
    source = SHARED / "paper_tables" / f"{PRINTED[name][0]}.csv"
    if not source.exists():
        pytest.skip(f"{source} is not here")
    with source.open(encoding="utf-8") as file:
        read = [
            (row["model"], row["variant"], row["method"], row["metric"], row["value"]) for row in csv.DictReader(file)
        ]
    ours = tables.load_table(name).printed
    assert [value for *_, value in read] == list(ours.paper)
    for (model, variant, method, metric, _), cell in zip(read, ours.itertuples(), strict=True):
        assert metric.removesuffix("_s") == cell.metric
        assert {cell.model, cell.method} == ({f"{model} {variant}".strip(), method} if method else {model, variant})


def test_the_two_known_numbers_of_the_walls_paper_are_those_that_were_read():
    source = SHARED / "paper_tables" / "seethroughwalls_partial.csv"
    if not source.exists():
        pytest.skip(f"{source} is not here")
    with source.open(encoding="utf-8") as file:
        read = [(row["method"], row["metric"], row["value"]) for row in csv.DictReader(file)]
    names = {"unseen_l2_share_mean": "UNSEEN", "unseen_l2_share_std": "UNSEEN-SD"}
    ours = tables.load_table("see-through-walls").printed
    assert [(method, names[metric], value) for method, metric, value in read] == [
        (cell.method, cell.metric, cell.paper) for cell in ours.itertuples()
    ]


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """14 smooth images in 7 folders, each with a box."""
    root = tmp_path_factory.mktemp("paper") / "photos"
    rng = np.random.default_rng(3)
    boxes = ["image,x0,y0,x1,y1"]
    for label in range(7):
        (root / f"class{label}").mkdir(parents=True)
        for index in range(2):
            small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
            small.resize((40, 40), Image.Resampling.BICUBIC).save(root / f"class{label}" / f"{index}.png")
            boxes.append(f"class{label}/{index},{5 + index},4,{25 + label},30")
    (root.parent / "boxes.csv").write_text("\n".join(boxes) + "\n")
    return root


@pytest.fixture
def paper(tmp_path, monkeypatch) -> Path:
    """A folder with two tables about the toy network."""
    folder = tmp_path / "paper"
    folder.mkdir()
    monkeypatch.setattr(tables, "FOLDER", folder)
    facts = {
        "title": "Toy",
        "paper": "Nobody 2000",
        "source": "made up",
        "data": "folder",
        "protocol": "opticam-2024-loc",
        "kind": "interpretability",
        "columns": ["model", "metric"],
        "set_up": ["toy images"],
        "why": {},
    }
    methods = {"Grad-CAM": "grad-cam", "Layer-CAM": "layer-cam", "Gradient": "gradient", "New": "not-there-yet"}
    rows = [{"model": "Toy", "method": name, "classifier": TINY, "spec": spec} for name, spec in methods.items()]
    rows.append({"model": "Other", "method": "Grad-CAM", "classifier": None, "spec": "grad-cam", "why": "no such net"})
    (folder / "toy.json").write_text(json.dumps(facts | {"rows": rows, "extra": ["EP-right"]}))
    printed = [f"{row['model']},{row['method']},{metric},{10 * i + j}.5"
               for i, row in enumerate(rows) for j, metric in enumerate(("AD", "LE", "EP", "T"))]  # fmt: skip
    (folder / "toy.csv").write_text("\n".join(["model,method,metric,paper", *printed]) + "\n")
    recognition = facts | {"kind": "recognition", "columns": ["metric"], "why": {"param_percent": "a ratio"}}
    net = {"model": "Toy", "method": "plain", "classifier": TINY, "spec": None}
    (folder / "net.json").write_text(json.dumps(recognition | {"rows": [net]}))
    lines = [f"Toy,plain,{metric},1.0" for metric in sorted(RECOGNITION)]
    (folder / "net.csv").write_text("\n".join(["model,method,metric,paper", *lines]) + "\n")
    return folder


def run(photos: Path, out: Path, name: str, *extra: str) -> pd.DataFrame:
    arguments = ["--table", name, "--data-root", str(photos), "--boxes", str(photos.parent / "boxes.csv"),
                 "--out", str(out), "--batch-size", "7", "--device", "cpu", *extra]  # fmt: skip
    assert main(arguments) == 0
    return pd.read_csv(out / f"{name}.csv", keep_default_na=True)


def test_one_command_measures_a_table_and_names_what_it_cannot(photos, paper, tmp_path, capsys):
    cells = run(photos, tmp_path, "toy")
    assert list(cells.columns) == COLUMNS
    printed = pd.read_csv(paper / "toy.csv")
    assert len(cells[cells.paper.notna()]) == len(printed)
    measured = cells[cells.measured.notna() & cells.paper.notna()]
    assert set(measured.method) == {"Grad-CAM", "Layer-CAM", "Gradient"}
    assert np.allclose(measured.difference, measured.measured - measured.paper, atol=1e-4)
    inside = measured[measured.metric != "T"]
    assert (inside.low - 1e-9 <= inside.measured).all()
    assert (inside.measured <= inside.high + 1e-9).all()
    missing = cells[cells.measured.isna()]
    assert missing.why.str.len().min() > 0
    assert "no explainer not-there-yet" in missing[missing.method == "New"].why.iloc[0]
    assert set(missing[missing.model == "Other"].why) == {"no such net"}
    for text in (tmp_path / "toy.md", tmp_path / "toy.tex"):
        assert "Layer-CAM" in text.read_text()
        assert "toy images" in text.read_text()
    before = (tmp_path / "toy.csv").read_text()
    capsys.readouterr()
    run(photos, tmp_path, "toy")
    assert "everything asked for is stored already" in capsys.readouterr().out
    assert (tmp_path / "toy.csv").read_text() == before


def test_the_cells_are_those_of_a_plain_run(photos, paper, tmp_path):
    cells = run(photos, tmp_path, "toy", "--metrics", "AD,LE,EP")
    arguments = ["--model", TINY, "--data", "folder", "--data-root", str(photos), "--protocol", "opticam-2024-loc",
                 "--boxes", str(photos.parent / "boxes.csv"), "--methods", "grad-cam,layer-cam,gradient", "--metrics",
                 "AD,LE,EP", "--out", str(tmp_path / "plain"), "--batch-size", "7", "--device", "cpu"]  # fmt: skip
    assert main(arguments) == 0
    board = pd.read_csv(tmp_path / "plain" / "leaderboard.csv").set_index("method")
    for cell in cells[cells.measured.notna()].itertuples():
        row = {"Grad-CAM": "grad-cam", "Layer-CAM": "layer-cam", "Gradient": "gradient"}[cell.method]
        assert cell.measured == pytest.approx(board.loc[row, cell.metric], rel=1e-5)
    assert set(cells[cells.metric == "T"].why) >= {"not asked for in this run"}
    pairs = pd.read_csv(tmp_path / "plain" / "differences.csv").set_index(["method", "metric"])
    found = pd.read_csv(tmp_path / "toy-differences.csv")
    assert set(found.method) == {"Layer-CAM", "Gradient"}
    for difference in found.itertuples():
        name = {"Layer-CAM": "layer-cam", "Gradient": "gradient"}[difference.method]
        assert difference.measured == pytest.approx(pairs.loc[(name, difference.metric), "difference"], rel=1e-4)


def test_a_selection_leaves_the_other_rows_in_the_table(photos, paper, tmp_path):
    cells = run(photos, tmp_path, "toy", "--methods", "layer-cam", "--metrics", "LE", "--limit", "7")
    measured = cells[cells.measured.notna()]
    assert list(zip(measured.method, measured.metric, strict=True)) == [("Layer-CAM", "LE")]
    assert set(cells[cells.method == "Grad-CAM"].why) == {"not asked for in this run"}


def test_a_network_is_measured_by_accuracy_size_and_cost(photos, paper, tmp_path):
    cells = run(photos, tmp_path, "net").set_index("metric")
    net = load_classifier(TINY)
    assert cells.loc["params_M", "measured"] == pytest.approx(net.parameters / 1e6, rel=1e-4)
    assert cells.loc["param_percent", "why"] == "a ratio"
    clean = pd.concat(
        pd.read_parquet(path) for path in tmp_path.glob("*-opticam-2024-loc/clean/*.parquet")
    )  # the right answer by hand: the label is the folder's number
    right = [int(np.argmax(row.log_probabilities)) == int(row.image[5]) for row in clean.itertuples()]
    assert len(right) == 14
    assert cells.loc["Acc_top1", "measured"] == pytest.approx(100 * np.mean(right), rel=1e-5)


def test_operations_of_a_known_network_are_counted_as_two_each():
    """SqueezeNet 1.1 has 0.35 · 10⁹ multiply-adds (torchvision's model page)."""
    from bench.classifiers.load import find_architecture
    from bench.core.classifier import Classifier

    architecture = find_architecture("squeezenet1_1")
    net = Classifier(architecture.build(), name="squeezenet1_1", layer=architecture.layer, input_size=224)
    assert gflops(net.net, net.input_size) == pytest.approx(2 * 0.349, rel=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--table", "opticam-classificaton"], "did you mean"),
        (["--table", "opticam-classification", "--protocol", "clean"], "fixes what --protocol"),
        (["--table", "opticam-classification", "--methods", "grad-kam"], "grad-cam"),
        (["--table", "opticam-classification", "--model", "resnet18"], "resnet50"),
        (["--table", "opticam-classification", "--metrics", "LE"], "no metric 'LE'"),
        (["--table", "opticam-classification"], "--data-root"),
    ],
)
def test_what_a_table_cannot_do_is_told_in_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


EXCERPT = {
    # 448 x 224 pixels: the crop takes columns 112 to 335
    "wide.jpg": ((448, 224), [(112, 0, 336, 224)]),
    "square.jpg": ((224, 224), [(0, 0, 100, 100)]),
    "outside.jpg": ((448, 224), [(0, 0, 100, 224)]),
}
"""Fake-CAM is 1 everywhere but at the top left pixel: 50,175 pixels, and LE's box is 0, 0, 223, 223."""
BY_HAND = {
    "LE": (0.0, 1.0, 1.0),  # IoU 223² / 224²; 100² / 223²; nothing in common
    "F1": (2 * (50175 / 50176) / (1 + 50175 / 50176), 2 * 0.9999 * (9999 / 50175) / (0.9999 + 9999 / 50175), 0.0),
    "SP": (1.0, 1.0, 0.0),
    "EP": (1.0, 9999 / 50175, 100 * 224 / 50175),  # rows -112 to -12 are rows 112 to 211
    "EP-right": (1.0, 9999 / 50175, 0.0),
}


def write_geometry(folder: Path, images: dict[str, tuple[tuple[int, int], list[tuple[int, ...]]]]) -> Path:
    folder.mkdir(exist_ok=True)
    sizes = [f"val/{name},{width},{height}" for name, ((width, height), _) in images.items()]
    boxes = [f"val/{name},{','.join(map(str, box))}" for name, (_, found) in images.items() for box in found]
    (folder / "image_sizes.txt").write_text("\n".join(sizes) + "\n")
    (folder / "localization.txt").write_text("\n".join(boxes) + "\n")
    return folder


def geometry(boxes: Path, out: Path) -> pd.DataFrame:
    arguments = ["--table", "opticam-localization", "--methods", "fake-cam", "--boxes", str(boxes), "--out", str(out)]
    assert main(arguments) == 0
    return pd.read_csv(out / "opticam-localization.csv")


def test_boxes_alone_give_the_fake_cam_row_as_by_hand(tmp_path):
    cells = geometry(write_geometry(tmp_path / "boxes", EXCERPT), tmp_path)
    fake = cells[(cells.model == "ResNet50") & (cells.method == "Fake-CAM")].set_index("metric")
    for metric, values in BY_HAND.items():
        assert fake.loc[metric, "measured"] == pytest.approx(100 * np.mean(values), abs=1e-3), metric
    assert fake.loc["OM", "why"] == fake.loc["SM", "why"] == "needs images and the network; this run has boxes alone"
    assert len(cells[cells.paper.notna()]) == 126
    assert cells[cells.method != "Fake-CAM"].measured.isna().all()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("image_sizes.txt", "val/a.jpg,20\n", "expected 3 fields"),
        ("image_sizes.txt", "val/a.jpg,20,0\n", "positive whole numbers"),
        ("localization.txt", "val/b.jpg,0,0,5,5\n", "no image 'val/b.jpg'"),
        ("localization.txt", "val/square.jpg,9,0,5,5\n", "inverted"),
    ],
)
def test_malformed_geometry_is_named(tmp_path, file, text, message, capsys):
    folder = write_geometry(tmp_path / "boxes", EXCERPT)
    (folder / file).write_text(text)
    arguments = ["--table", "opticam-localization", "--methods", "fake-cam", "--boxes", str(folder)]
    assert main([*arguments, "--out", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_the_boxes_of_imagenet_alone_give_the_printed_fake_cam_row(tmp_path):
    boxes = SHARED / "data" / "ilsvrc-val-boxes"
    if not boxes.exists():
        pytest.skip(f"{boxes} is not here")
    cells = geometry(boxes, tmp_path)
    fake = cells[(cells.model == "ResNet50") & (cells.method == "Fake-CAM")].set_index("metric")
    for metric, value in {"LE": 54.01, "F1": 57.68, "SP": 99.84, "EP": 28.51, "EP-right": 53.57, "BA": 47.94}.items():
        assert fake.loc[metric, "measured"] == pytest.approx(value, abs=0.01), metric
    printed = fake.dropna(subset=["paper", "measured"])
    assert (printed.measured.round(1) - printed.paper).abs().max() < 0.05


@pytest.mark.parametrize(
    ("printed", "measured", "expected"),
    [
        (1.0, 0.5, "same"),
        (-1.0, -0.5, "same"),
        (1.0, -0.5, "opposite"),
        (0.0, 0.0, "equal"),
        (0.0, 1e-5, "equal"),
        (0.0, 0.5, "one is 0"),
        (0.4, 0.0, "one is 0"),
    ],
)
def test_signs_of_differences(printed, measured, expected):
    assert agreement.sign(printed, measured) == expected


def test_ranks_agree_with_spearman_by_hand():
    """Printed order 1 2 3 4, measured order 2 1 3 4: ρ = 1 - 6 · 2 / (4 · 15) = 0.8; a twin row counts once,
    also where rounding sets it a little apart."""
    values = [("1.0", 20.0), ("2.0", 10.0), ("3.0", 30.0), ("4.0", 40.00001), ("4.0", 40.0)]
    cells = pd.DataFrame(
        [["m", f"x{i}", "AD", paper, value, None, None, None, ""] for i, (paper, value) in enumerate(values)],
        columns=COLUMNS,
    )
    found = agreement.ranks(cells).iloc[0]
    assert found.spearman == pytest.approx(0.8)
    assert found.n == 4


def test_costs_of_streams_are_the_papers_without_weights(capsys, tmp_path):
    """GFLOPs to 1 %, parameters to the last printed digit; 3.71 % for ResNet-18 is 3.76 % by the printed parameters."""
    assert main(["--table", "castream-accuracy", "--model", "castream:resnet18", "--out", str(tmp_path)]) == 0
    cells = pd.read_csv(tmp_path / "castream-accuracy.csv").set_index(["model", "method", "metric"])
    assert cells.measured["RESNET-18", "CA", "params_M"] == pytest.approx(12.13, abs=0.005)
    assert cells.measured["RESNET-18", "CA", "GFLOPs"] == pytest.approx(3.652, rel=0.01)
    assert cells.measured["RESNET-18", "CA vs GAP", "param_percent"] == pytest.approx(3.76, abs=0.005)
    assert "--data-root" in cells.why["RESNET-18", "CA", "Acc_top1"]
