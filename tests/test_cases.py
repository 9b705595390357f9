"""Situations from public reports that once gave a wrong number or a traceback: `../shared/cases`, now right.

The same kinds of fault are cases of the campaign as well, on inputs that need no files from elsewhere.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from cambench import main
from tests.places import SHARED

CASES = SHARED / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"{CASES} is not here")
PHOTOS = ("--data", "folder", "--data-root", "base-photos")


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Run a command in the folder of the cases: exit code, what it printed, its table by method, its stored rows."""
    monkeypatch.chdir(CASES)
    calls = iter(range(99))

    def run(*argv: str) -> tuple[int, str, pd.DataFrame | None, pd.DataFrame | None]:
        out = tmp_path / f"out{next(calls)}"
        capsys.readouterr()
        try:
            code = main([*argv, "--out", str(out), "--device", "cpu"])
        except SystemExit as end:
            code = int(end.code or 0)
        printed = " ".join("".join(capsys.readouterr()).split())
        if not (out / "leaderboard.csv").exists():
            return code, printed, None, None
        rows = pd.concat(map(pd.read_parquet, (out / "scores").glob("*.parquet")))
        return code, printed, pd.read_csv(out / "leaderboard.csv").set_index("method"), rows

    return run


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["01-single-logit/net.py:build"], r"one number per image.*--output binary"),
        (["03-softmax-inside/net.py:softmax"], r"sum to 1.*--output probabilities"),
        (["08-facts-types/net.py:nonsquare"], r"input_size"),
        (["08-facts-types/net.py:zero_std"], r"std"),
        (["08-facts-types/net.py:mean255"], r"mean"),
        (["09-squeeze/net.py:bn_batch"], r"depends on the others in its batch"),
        (["09-squeeze/net.py:train_locked"], r"batch|training|changes"),
        (["12-dataparallel/net.py:scripted"], r"TorchScript"),
        (["12-dataparallel/net.py:traced"], r"TorchScript"),
        (["12-dataparallel/net.py:dynquant"], r"quantised"),
    ],
)
def test_what_cannot_be_scored_rightly_is_refused_in_one_line(run, argv, says):
    code, printed, table, _ = run("--model", *argv, *PHOTOS, "--methods", "grad-cam", "--metrics", "AD", "--limit", "4")
    assert code == 2
    assert table is None
    assert re.search(rf"^error: .*{says}", printed), printed


@pytest.mark.parametrize("name", ["tensor_mean", "numpy_mean", "tuple_size", "timm_size", "npint_size"])
def test_facts_of_any_type_count(run, name):
    metrics = ("--methods", "grad-cam,gradient", "--no-controls", "--metrics", "AD,I,D", "--limit", "4")
    _, _, right, _ = run("--model", "08-facts-types/net.py:right", *PHOTOS, *metrics)
    _, _, same, _ = run("--model", f"08-facts-types/net.py:{name}", *PHOTOS, *metrics)
    pd.testing.assert_frame_equal(same[["AD", "I", "D"]], right[["AD", "I", "D"]])


def test_one_map_of_another_shape_moves_no_other_image(run):
    net = ("--model", "mobilenet_v2", "--weights", str(SHARED / "weights" / "mobilenet_v2.safetensors"))
    data = ("--data", "imagenet", "--data-root", str(SHARED / "data" / "imagenet-val-1000"), "--limit", "3")
    maps = ("--methods", "grad-cam", "--no-controls", "--maps", "19-maps-mixed/val_mixed/maps", "--metrics", "AD")
    for batch in ("1", "3"):
        *_, rows = run(*net, *data, *maps, "--batch-size", batch)
        (column,) = (name for name in rows if re.match(r"AD( |$)", name))
        own = rows[rows.method.str.startswith("maps")].set_index("image")[column]
        assert {0.82805, 0.98043} <= set(own.round(5)), own


def test_folders_named_by_synset_are_their_classes(run):
    net = ("--model", "mobilenet_v2", "--weights", str(SHARED / "weights" / "mobilenet_v2.safetensors"))
    data = ("--data", "folder", "--data-root", "20-imagenette-folder/imagenette", "--target", "true")
    *_, rows = run(*net, *data, "--methods", "grad-cam", "--no-controls", "--metrics", "AD")
    assert set(rows.target) == {0, 217}


def test_classes_of_another_order_are_matched_by_name(run):
    *_, rows = run("--model", "21-class-order/net.py:build", *PHOTOS, "--methods", "grad-cam", "--no-controls",
                   "--metrics", "AD", "--target", "true")  # fmt: skip
    assert {image.split("/")[0]: target for image, target in zip(rows.image, rows.target, strict=True)} == {
        "dog": 0, "cat": 1}  # fmt: skip


def test_1001_logits_are_not_imagenets_1000_classes(run):
    data = ("--data", "imagenet", "--data-root", str(SHARED / "data" / "imagenet-val-1000"), "--limit", "2")
    _, printed, _, rows = run("--model", "22-1001/net.py:build", *data, "--methods", "grad-cam", "--no-controls",
                              "--metrics", "AD")  # fmt: skip
    assert re.search("1001 classes: labels ignored.*background", printed)
    assert rows.label.isna().all()


def test_what_an_archive_leaves_behind_is_no_class(run):
    *_, rows = run("--model", "21-class-order/net.py:four", "--data", "folder", "--data-root", "23-macosx/photos",
                   "--methods", "grad-cam", "--no-controls", "--metrics", "AD", "--target", "true")  # fmt: skip
    assert {image.split("/")[0]: target for image, target in zip(rows.image, rows.target, strict=True)} == {
        "cat": 1, "dog": 2}  # fmt: skip


def test_formats_that_pillow_reads_are_used_and_a_broken_file_is_named(run):
    _, printed, table, _ = run("--model", "21-class-order/net.py:alpha", "--data", "folder", "--data-root",
                               "25-formats/photos", "--methods", "grad-cam", "--no-controls",
                               "--metrics", "AD")  # fmt: skip
    files = [file for file in Path("25-formats/photos").rglob("*") if file.is_file()]
    assert {".avif", ".jfif", ".jpe", ".jp2"} <= {file.suffix for file in files}
    assert table.AD_n["grad-cam"] == len(files) - 1
    assert "1 file left out: cat/trunc" in printed


def test_a_nets_file_imports_its_neighbours(run):
    code, _, table, _ = run("--model", "27-sibling-import/proj/mynet.py:build", *PHOTOS, "--methods", "grad-cam",
                            "--no-controls", "--metrics", "AD")  # fmt: skip
    assert code == 0
    assert table.AD.notna().all()


def test_images_of_the_networks_own_size_stay_as_they_are(run):
    *_, rows = run("--model", "31-cifar-crop/net.py:build", "--data", "folder", "--data-root", "31-cifar-crop/photos",
                   "--methods", "grad-cam", "--no-controls", "--metrics", "AD", "--batch-size", "2")  # fmt: skip
    assert rows.right.tolist() == [True] * 6


def test_a_metric_without_finite_answers_says_so(run):
    code, printed, table, _ = run("--model", "33-nan-black/net.py:build", *PHOTOS, "--methods", "grad-cam",
                                  "--no-controls", "--metrics", "AD,I,D", "--limit", "3")  # fmt: skip
    assert code == 0
    assert table.D.isna().all()
    assert re.search("D.*not finite|not finite.*D", printed)


def test_any_folder_of_images_has_a_table(run):
    code, _, table, _ = run("--data", "folder", "--data-root", "37-flat-folder/photos", "--methods", "grad-cam",
                            "--metrics", "AD", "--no-controls", "--batch-size", "2")  # fmt: skip
    assert code == 0
    assert table.AD.notna().all()


def test_blank_maps_gain_nothing_from_answers_that_are_not_finite(run):
    _, _, table, rows = run("--model", "33-nan-black/net.py:build", "--plugin", "38-nan-reward/plug.py", *PHOTOS,
                            "--methods", "half-dead,alive", "--no-controls", "--metrics", "AD")  # fmt: skip
    (column,) = (name for name in rows if re.match(r"AD( |$)", name))
    values = rows.pivot(index="image", columns="method", values=column)
    scored = values.dropna()
    assert 0 < len(scored) < len(values)
    assert (scored["half-dead"] == scored["alive"]).all()
    assert table.AD_n["half-dead"] == len(scored)


def test_multi_label_and_probabilities_agree(run):
    """σ of the logits, stated as such, or given by a net with the σ inside."""
    options = (*PHOTOS, "--methods", "random", "--metrics", "AD,AG,I,D")
    _, _, outside, _ = run("--model", "02-multilabel/net.py:build", "--output", "multi-label", *options)
    _, _, inside, _ = run("--model", "02-multilabel/net.py:build_prob", "--output", "probabilities", *options)
    pd.testing.assert_frame_equal(inside[["AD", "AG", "I", "D"]], outside[["AD", "AG", "I", "D"]], atol=1e-4)
