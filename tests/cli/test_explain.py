"""One picture, one command: the files, the numbers of a run, and bad input in one line."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from torchvision.models import ResNet18_Weights

import cambench as cb
from bench.core.errors import UsageError
from bench.data.boxes import with_boxes
from bench.data.labels import Names
from bench.data.photographs import photographs
from bench.data.samples import BOXES
from bench.report.panel import Tile, parts, rows_of
from bench.report.region import best_overlap, threshold_box
from bench.run.targets import by_synonym
from cambench import main
from tests.places import ASSETS

TINY = f"{ASSETS / 'tiny.py'}:build"
PHOTO = next(sample for sample in cb.load_dataset("samples").samples if sample.id == "imagenet_15_99").path
METRICS = ["AD", "AG", "AI", "I", "D"]


@dataclass
class Run:
    out: Path
    printed: str

    @property
    def scores(self) -> pd.DataFrame:
        return pd.read_csv(self.out / "scores.csv")

    @property
    def keys(self) -> set[str]:
        return {key for file in (self.out / "scores").glob("*.parquet") for key in pd.read_parquet(file).key}


def command(out: Path, *flags: str | Path) -> int:
    return main([*map(str, flags), "--device", "cpu", "--batch-size", "4", "--out", str(out)])


@pytest.fixture(scope="module")
def goose(tmp_path_factory) -> Run:
    """A sample photograph, explained by the embedded network for two classes, on a terminal of 80 columns."""
    out, text = tmp_path_factory.mktemp("goose"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(text):
        patch.setenv("COLUMNS", "80")
        assert command(out, "--image", PHOTO, "--methods", "grad-cam,decoder", "--metrics", ",".join(METRICS),
                       "--target", "predicted,tabby cat", "--box", "0.2", "--boxes", BOXES) == 0  # fmt: skip
    return Run(out, text.getvalue())


def test_numbers_and_keys_are_those_of_a_run_on_the_same_file(goose, tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    shutil.copy(PHOTO, tmp_path / "photos")
    lines = BOXES.read_text().splitlines(keepends=True)
    boxes = tmp_path / "boxes.csv"
    boxes.write_text(lines[0] + "".join(line for line in lines if line.startswith(PHOTO.stem)))
    run = Run(tmp_path / "run", "")
    flags = ["--methods", "grad-cam,decoder", "--metrics", ",".join(METRICS), "--target", "281", "--no-controls"]
    assert command(run.out, "--data", "folder", "--data-root", tmp_path / "photos", "--boxes", boxes, *flags) == 0
    table = pd.read_csv(run.out / "leaderboard.csv").set_index("method")
    ours = goose.scores.set_index("method")
    for method in ("grad-cam", "decoder"):
        mine, theirs = (rows.loc[name, METRICS].astype(float) for rows, name in
                        ((ours, f"{method}: tabby"), (table, method)))  # fmt: skip
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)  # six digits in the table
    assert run.keys < goose.keys
    assert len(goose.keys) == 4


def test_panel_is_a_png_and_a_pdf_of_a_page_s_width(goose):
    with Image.open(goose.out / "imagenet_15_99.png") as picture:
        assert picture.width <= 7 * 300
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    assert len(np.unique(pixels, axis=0)) > 5000
    assert (goose.out / "imagenet_15_99.pdf").read_bytes().startswith(b"%PDF")


def test_maps_are_those_of_explain(goose):
    stored = np.load(goose.out / "imagenet_15_99.npz")
    net = cb.load_classifier("efficientnet_lite0")
    for method in ("grad-cam", "decoder"):
        e = cb.explain(net, PHOTO, method, target=281)
        assert stored[f"{method}: tabby"].dtype == stored[f"{method}: tabby raw"].dtype == np.float32
        np.testing.assert_allclose(stored[f"{method}: tabby"], e.map, atol=1e-5)
        np.testing.assert_allclose(stored[f"{method}: tabby raw"], e.raw / np.abs(e.raw).max(), atol=1e-5)
    np.testing.assert_allclose(stored["image"] / 255, e.image, atol=0.5 / 255 + 1e-6)


def test_what_is_printed_fits_80_columns_and_names_classes(goose):
    lines = goose.printed.splitlines()
    assert max(map(len, lines[:-1])) <= 80  # the last line is a path
    row = goose.scores.iloc[0]
    assert row["class"] == "goose"
    assert f"  {100 * row.p:5.1f} %  goose" in lines
    assert f"why goose ({100 * row.p:.1f} %)" in lines
    assert any(line.startswith("why tabby (") for line in lines)
    values = [f"{row.AD:.1f}", f"{row.AG:.1f}", f"{row.AI:.1f}", f"{row.I:.1f}", f"{row.D:.1f}"]
    assert lines[lines.index(f"why goose ({100 * row.p:.1f} %)") + 2].split() == ["grad-cam", *values]


def test_boxes_in_the_scores_are_those_of_the_maps(goose):
    stored = np.load(goose.out / "imagenet_15_99.npz")
    for row in goose.scores.itertuples():
        box = threshold_box(stored[row.method], 0.2)
        assert box.tolist() == [row.x0, row.y0, row.x1, row.y1]
        assert 0 < row.IoU < 1


def test_the_box_is_that_of_a_slow_search():
    """The largest part by flood fill, in pixels of a small map."""
    saliency = np.random.default_rng(3).random((9, 8)).astype(np.float32) ** 4
    on = {(int(y), int(x)) for y, x in np.argwhere(saliency >= 0.2 * saliency.max())}
    largest: set[tuple[int, int]] = set()
    while on:
        part, edge = set(), {on.pop()}
        while edge:
            y, x = edge.pop()
            part.add((y, x))
            beside = {(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)} & on
            on -= beside
            edge |= beside
        largest = max(largest, part, key=len)
    rows, columns = zip(*largest, strict=True)
    expected = [min(columns), min(rows), max(columns) + 1, max(rows) + 1]
    assert threshold_box(saliency, 0.2).tolist() == expected
    assert threshold_box(np.zeros((4, 4), dtype=np.float32), 0.2) is None


def test_overlap_by_hand():
    truth = np.array([[-3.0, 0.0, 4.9, 4.0], [20.0, 20.0, 30.0, 30.0]])
    assert best_overlap(np.array([2.0, 0.0, 6.0, 4.0]), truth, 10) == pytest.approx(8 / (16 + 16 - 8))
    assert best_overlap(None, truth, 10) == 0


def test_explain_is_image_and_defaults_are_few(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(PHOTO, tmp_path / "goose.jpg")
    small = ["--model", TINY, "--metrics", "AD,I", "--device", "cpu", "--batch-size", "2"]
    assert main(["explain", "goose.jpg", "--methods", "grad-cam", *small]) == 0
    (out,) = Path("results/explain").iterdir()
    assert out.name.endswith("-goose")
    assert sorted(p.name for p in out.glob("goose.*")) == ["goose.npz", "goose.pdf", "goose.png"]
    first = (out / "scores.csv").read_bytes()
    assert main(["--image", "goose.jpg", "--methods", "grad-cam", *small]) == 0
    assert (out / "scores.csv").read_bytes() == first
    capsys.readouterr()
    assert main(["--image", "goose.jpg", *small, "--methods", "decoder,cam"]) == 0
    printed = capsys.readouterr().out
    assert "decoder: skipped: no decoder is shipped" in printed
    assert set(pd.read_csv(out / "scores.csv").method) == {"cam"}


def test_several_images_layers_and_methods_make_a_row_each(tmp_path, capsys):
    (tmp_path / "b").mkdir()
    shutil.copy(PHOTO, tmp_path / "one.jpg")
    with Image.open(PHOTO) as picture:
        picture.rotate(90).save(tmp_path / "b" / "two.png")
    files = [tmp_path / "one.jpg", tmp_path / "b" / "two.png", tmp_path / "one.jpg"]
    flags = ["--model", TINY, "--methods", "grad-cam,gradient", "--layer", "1,3", "--metrics", "AD,I"]
    assert command(tmp_path / "out", "--image", *files, *flags) == 0
    scores = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert scores.image.tolist() == ["b/two"] * 3 + ["one"] * 3
    assert scores.method[:3].tolist() == ["grad-cam(layer=1)", "grad-cam(layer=3)", "gradient"]
    assert scores.layer[:2].tolist() == [1, 3]
    assert (tmp_path / "out" / "b" / "two.png").is_file()
    assert f"why class {scores['index'][0]} (" in capsys.readouterr().out


@pytest.fixture
def wrong(tmp_path) -> dict[str, str]:
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.png").write_bytes(b"")
    names = {"missing": "nowhere.jpg", "text": "text.jpg", "empty": "empty.png", "folder": "."}
    return {name: str(tmp_path / file) for name, file in names.items()} | {"photo": str(PHOTO)}


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--image", "missing"], "file not found"),
        (["--image", "photo", "text"], "not an image that Pillow can read"),
        (["--image", "empty"], "empty file"),
        (["--image", "folder"], "is a folder; name image files, or use --data folder"),
        (["--image", "photo", "--target", "tabbi"], "'tabbi' is not a class.*did you mean 'tabby'"),
        (["--image", "photo", "--target", "true"], "1 image without a label"),
        (["--image", "photo", "--methods", "grad-camm"], "did you mean 'grad-cam'"),
        (["--image", "photo", "--data", "samples"], "leave out --data"),
        (["--image", "photo", "--limit", "3"], "leave out --limit"),
        (["--image", "photo", "--table", "opticam-classification"], "two commands"),
        (["--image", "photo", "--box", "0"], "must be above 0, at most 1"),
        (["--image", "photo", "--boxes", "missing"], "no such boxes file"),
        (["--image"], "expected at least one argument"),
        (["--box", "0.2"], "--box draws on the panels of --image"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(wrong, flags, says, tmp_path, capsys):
    try:
        code = main([wrong.get(flag, flag) for flag in flags] + ["--device", "cpu", "--out", str(tmp_path / "out")])
    except SystemExit as stop:
        code = stop.code
    told = capsys.readouterr().err.strip().splitlines()
    assert code == 2
    assert len(told) == 1
    assert re.search(says, told[0]), told


def test_boxes_of_other_images_are_passed_over_for_photographs_alone(tmp_path):
    (sample,) = photographs([PHOTO], BOXES).samples
    assert len(sample.boxes) == 4
    with pytest.raises(UsageError, match="no image 'imagenet_00_243'"):
        with_boxes([sample], BOXES)
    shutil.copy(PHOTO, tmp_path / "other.jpg")
    with pytest.raises(UsageError, match="has no line of other"):
        photographs([tmp_path / "other.jpg"], BOXES)


def test_bands_are_even_and_rows_go_class_by_class():
    assert parts(list("abcdefg")) == [list("abcd"), list("efg")]
    assert parts(list("ab")) == [list("ab")]
    tiles = [Tile(f"{column}{row}", column, row) for column in "ab" for row in
             (("cat", "3"), ("dog", "3"), ("cat", "4"), ("dog", "4")) if column == "a" or row[1] == "3"]  # fmt: skip
    assert rows_of(tiles, ["a", "b"]) == [("cat", "3"), ("cat", "4"), ("dog", "3"), ("dog", "4")]
    assert rows_of(tiles, ["b"]) == [("cat", "3"), ("dog", "3")]


def test_imagenet_s_classes_go_by_all_their_names():
    names = Names(tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"]))
    assert by_synonym("tabby cat", names) == [281]
    assert by_synonym("Great-Pyrenees", names) == [257]
    assert by_synonym("tabby cat", Names(("a", "b"))) == []
