"""The main job, end to end, through the command line."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.core.errors import Interrupted
from cambench import main
from tests.places import ASSETS, ROOT

TINY = f"{ASSETS / 'tiny.py'}:build"
CHEAP = "grad-cam,cam,layer-cam,gradient"


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """14 smooth images in 7 folders, and the boxes of some."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for label in range(7):
        (root / f"class{label}").mkdir()
        for index in range(2):
            small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
            small.resize((48, 40), Image.Resampling.BICUBIC).save(root / f"class{label}" / f"{index}.png")
    return root


def command(photos: Path, out: Path, *extra: str, methods: str = CHEAP) -> list[str]:
    return ["--model", TINY, "--data", "folder", "--data-root", str(photos), "--out", str(out), "--methods", methods,
            "--batch-size", "4", "--metrics", "AD,AG,AI,I,D", "--protocol", "clean+steps=4", "--device", "cpu",
            *extra]  # fmt: skip


def table(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "leaderboard.csv").set_index("method")


def stored(out: Path) -> pd.DataFrame:
    return pd.concat(pd.read_parquet(path) for path in sorted((out / "scores").glob("*.parquet")))


def files(out: Path) -> dict[str, str]:
    """The tables that must not depend on how the run went."""
    names = ("leaderboard.csv", "leaderboard.md", "leaderboard.tex", "differences.csv", "images.csv", "run.json")
    texts = {name: re.sub(r"\s+", " ", (out / name).read_text()) for name in names}  # long commands are wrapped
    return {name: text.replace(str(out), "OUT") for name, text in texts.items()}


@pytest.fixture(scope="module")
def finished(photos, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("finished")
    assert main(command(photos, out)) == 0
    return out


def test_one_command_gives_every_table(finished):
    frame = table(finished)
    assert set(CHEAP.split(",")) | {"fake-cam", "random", "random-7x7", "center", "sobel"} <= set(frame.index)
    assert (frame.loc[["grad-cam", "gradient"], "status"] == "ok").all()
    assert frame.loc["box-oracle", "status"] == "skipped"
    assert frame.control.groupby(frame.index).first()["fake-cam"]
    for name in ("leaderboard.md", "leaderboard.tex", "images.csv", "run.json"):
        assert (finished / name).stat().st_size > 0
    assert len(pd.read_csv(finished / "images.csv")) == 14


def test_the_table_is_the_mean_of_the_stored_rows(finished):
    rows, frame = stored(finished), table(finished)
    for method, part in rows.groupby("method"):
        for name in ("AD", "AG", "AI", "I", "D"):
            assert frame.loc[method, name] == pytest.approx(100 * part[name].mean(), rel=1e-5)
            assert frame.loc[method, f"{name}_low"] <= frame.loc[method, name] <= frame.loc[method, f"{name}_high"]


def test_scores_equal_a_slow_twin_from_pixels(finished, photos):
    """Grad-CAM's AD and I of one image, from the file to the number, without the project's harness."""
    import torch
    from torchvision.transforms.functional import center_crop, pil_to_tensor, resize

    from bench.core.perturb import blur
    from bench.core.user_code import load_file

    row = stored(finished).query("method == 'grad-cam' and degenerate == ''").iloc[0]
    picture = Image.open(photos / f"{row.image}.png").convert("RGB")
    pixels = pil_to_tensor(center_crop(resize(picture, 37), [32, 32])).float().div(255).double()
    net = load_file(ASSETS / "tiny.py").build().double().eval()

    def p(image: torch.Tensor) -> float:
        return float(net(((image - 0.5) / 0.25)[None]).softmax(1)[0, row.target].detach())

    maps = net[:4](((pixels - 0.5) / 0.25)[None])
    cam = torch.einsum("k,bkhw->bhw", net[6].weight[row.target], maps).relu()
    up = torch.nn.functional.interpolate(cam[None], (32, 32), mode="bilinear", align_corners=False)[0, 0]
    mask = ((up - up.min()) / (up.max() - up.min())).detach()
    assert row.p == pytest.approx(p(pixels), abs=1e-5)
    assert pytest.approx(max(0, p(pixels) - p(pixels * mask)) / p(pixels), abs=1e-4) == row.AD
    order = mask.flatten().argsort(descending=True, stable=True)
    start = blur(pixels, torch.full((3,), 0.5), 11, 5)
    curve = []
    for step in range(5):
        image = start.clone().reshape(3, -1)
        image[:, order[: round(step * 1024 / 4)]] = pixels.reshape(3, -1)[:, order[: round(step * 1024 / 4)]]
        curve.append(p(image.reshape(3, 32, 32)))
    if mask.flatten().unique().numel() == 1024:
        assert np.trapezoid(curve, dx=0.25) == pytest.approx(row.I, abs=1e-4)
    assert row.I_vector[0] == pytest.approx(curve[0], abs=1e-5)
    assert row.I_vector[-1] == pytest.approx(row.p, abs=1e-6)


def test_equal_maps_are_told_and_counted_once(finished):
    frame = table(finished)
    assert frame.loc["cam", "equal_to"] == "grad-cam"
    assert pd.isna(frame.loc["layer-cam", "equal_to"])


def test_the_same_command_again_computes_nothing_and_changes_nothing(finished, photos, capsys):
    before, rows = files(finished), sorted((finished / "scores").iterdir())
    assert main(command(photos, finished)) == 0
    assert "everything asked for is stored already" in capsys.readouterr().out
    assert files(finished) == before
    assert sorted((finished / "scores").iterdir()) == rows


def test_a_smaller_limit_is_a_subset_and_a_larger_one_adds_only_what_is_new(photos, finished, tmp_path):
    assert main(command(photos, tmp_path, "--limit", "6")) == 0
    first = set(pd.read_csv(tmp_path / "images.csv").id)
    assert len(first) == 6
    count = len(stored(tmp_path))
    assert main(command(photos, tmp_path)) == 0
    assert first < set(pd.read_csv(tmp_path / "images.csv").id)
    rows = stored(tmp_path)
    assert len(rows) == count // 6 * 14
    assert rows.key.is_unique
    assert {k: v for k, v in files(tmp_path).items() if k not in ("run.json", "leaderboard.md", "leaderboard.tex")} == {
        k: v for k, v in files(finished).items() if k not in ("run.json", "leaderboard.md", "leaderboard.tex")
    }


def test_skipped_images_are_those_of_the_limit_and_the_tables_say_so(photos, tmp_path):
    few = ("--no-controls", "--metrics", "AD")
    assert main(command(photos, tmp_path / "chosen", *few, "--limit", "6", methods="grad-cam")) == 0
    assert main(command(photos, tmp_path / "rest", *few, "--skip", "6", methods="grad-cam")) == 0
    chosen, rest = (set(pd.read_csv(tmp_path / name / "images.csv").id) for name in ("chosen", "rest"))
    assert len(chosen | rest) == 14
    assert not chosen & rest
    assert json.loads((tmp_path / "rest" / "run.json").read_text())["images skipped"] == 6
    assert "images skipped" not in json.loads((tmp_path / "chosen" / "run.json").read_text())
    for name in ("leaderboard.md", "leaderboard.tex"):
        assert "8 images, the first 6 skipped" in (tmp_path / "rest" / name).read_text()


def test_adding_a_method_or_a_metric_computes_only_what_is_new(photos, tmp_path):
    assert main(command(photos, tmp_path, "--no-controls", methods="grad-cam")) == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "scores").iterdir()}
    assert main(command(photos, tmp_path, "--no-controls", "--metrics", "AD,SPARSE", methods="grad-cam,cam")) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    new = pd.concat(pd.read_parquet(path) for path in (tmp_path / "scores").iterdir() if path not in before)
    assert {tuple(sorted(have)) for have in new.query("method == 'grad-cam'").have} == {("SPARSE@1",)}
    assert {"AD", "SPARSE"} <= set(table(tmp_path).columns)
    assert table(tmp_path).SPARSE.notna().all()


def test_a_table_shows_what_was_asked_not_all_that_is_stored(photos, tmp_path):
    assert main(command(photos, tmp_path, "--no-controls", methods="grad-cam,cam")) == 0
    assert main(command(photos, tmp_path, "--no-controls", methods="cam")) == 0
    assert list(table(view(tmp_path)).index) == ["cam"]


def view(out: Path) -> Path:
    """The one view beside a fuller table."""
    (found,) = (out / "views").iterdir()
    return found


def test_a_view_never_takes_the_place_of_a_fuller_table(photos, finished, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    before = files(folder)
    assert main(command(photos, folder, "--stored", "--limit", "5", methods="cam")) == 0
    assert files(folder) == before
    assert len(pd.read_csv(view(folder) / "images.csv")) == 5
    assert main(command(photos, folder, methods=f"{CHEAP},eigen-cam")) == 0  # computes something: takes its place
    assert "eigen-cam" in table(folder).index


def test_a_flat_folder_without_labels_has_a_table(photos, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for file in sorted(photos.rglob("*.png"))[:3]:
        shutil.copy(file, flat / f"{file.parent.name}-{file.name}")
    out = tmp_path / "out"
    assert main(command(flat, out)) == 0
    whole = table(out)
    assert whole.loc["grad-cam", "AD"] >= 0
    assert main(command(flat, out, "--stored")) == 0
    assert table(out).equals(whole)
    assert main(command(flat, tmp_path / "empty", "--stored")) == 0


def test_stored_rows_alone_make_a_table(photos, finished, tmp_path):
    arguments = command(photos, finished, "--stored", methods="grad-cam,eigen-cam")
    before = sorted((finished / "scores").iterdir())
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    arguments[arguments.index(str(finished))] = str(folder)
    assert main(arguments) == 0
    assert sorted((finished / "scores").iterdir()) == before
    frame, whole = table(view(folder)), table(finished)
    assert frame.loc["grad-cam", "AD"] == whole.loc["grad-cam", "AD"]
    assert frame.loc["eigen-cam", ["status", "reason"]].tolist() == ["skipped", "nothing is stored yet"]


def test_scores_whose_maps_are_not_kept_make_a_table(photos, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "maps")
    assert main(command(photos, tmp_path / "out", "--stored")) == 0
    expected, found = table(finished), table(tmp_path / "out")
    assert expected.equal_to.notna().any()
    assert found.equal_to.isna().all(), "without maps nobody knows that two are equal"
    pd.testing.assert_series_equal(found.AD.sort_index(), expected.AD.sort_index())


def test_batch_size_and_order_do_not_change_a_result(photos, finished, tmp_path):
    arguments = command(photos, tmp_path, methods="layer-cam,gradient,grad-cam,cam")
    arguments[arguments.index("--batch-size") + 1] = "5"
    assert main(arguments) == 0
    both = (
        stored(finished)
        .set_index("key")
        .merge(stored(tmp_path).set_index("key"), left_index=True, right_index=True, suffixes=("", "_other"))
    )
    assert len(both) == len(stored(finished))
    for name in ("AD", "AG", "I", "D"):
        assert (both[name] - both[f"{name}_other"]).abs().max() <= 1e-4


def test_kill_and_resume_gives_the_same_bytes(photos, finished, tmp_path_factory):
    out = tmp_path_factory.mktemp("killed")
    arguments = [sys.executable, str(ROOT / "run_benchmark.py"), *command(photos, out), "--no-report"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}  # as in this process
    process = subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 120
    while len(list(out.glob("scores/*.parquet"))) < 3 and time.time() < deadline and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    partial = len(list(out.glob("scores/*.parquet")))
    assert partial >= 3
    assert main(command(photos, out)) == 0
    assert files(out) == files(finished)


def test_one_failing_method_stops_nothing_and_is_never_stored(photos, tmp_path, capsys):
    plugin = ("--plugin", str(ASSETS / "plugin.py"), "--no-controls")
    assert main(command(photos, tmp_path, *plugin, methods="failing,wrong-shape,power-cam(power=2)")) == 1
    frame = table(tmp_path)
    assert frame.status.to_dict() == {"power-cam(power=2.0)": "ok", "failing": "failed", "wrong-shape": "failed"}
    assert "the explainer broke" in frame.loc["failing", "reason"]
    assert "(4, h, w)" in frame.loc["wrong-shape", "reason"]
    assert set(stored(tmp_path).method) == {"power-cam(power=2.0)"}


def test_nan_maps_are_scored_as_no_explanation_and_counted(photos, tmp_path):
    plugin = ("--plugin", str(ASSETS / "plugin.py"), "--no-controls")
    assert main(command(photos, tmp_path, *plugin, methods="not-a-number")) == 0
    assert (stored(tmp_path).degenerate == "non-finite").all()
    assert table(tmp_path).loc["not-a-number", "degenerate"] == 100


def test_a_corrupt_image_is_named_and_left_out_for_all(photos, tmp_path, caplog):
    root = tmp_path / "photos"
    for source in photos.rglob("*.png"):
        target = root / source.relative_to(photos)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    (root / "class3" / "0.png").write_bytes(b"not an image")
    out = tmp_path / "out"
    assert main(command(root, out, methods="grad-cam,cam")) == 0
    assert "class3" in caplog.text
    assert set(stored(out).groupby("method").size()) == {13}
    assert json.loads((out / "run.json").read_text())["images left out"] == 1


def test_precomputed_maps_are_a_row(photos, tmp_path):
    maps = tmp_path / "mine"
    for path in photos.rglob("*.png"):
        target = maps / path.relative_to(photos).with_suffix(".npy")
        target.parent.mkdir(parents=True, exist_ok=True)
        corner = np.ones((32, 32), np.float32)
        corner[0, 0] = 0
        np.save(target, corner)
    out = tmp_path / "out"
    assert main(command(photos, out, "--maps", str(maps), methods="grad-cam")) == 0
    frame = table(out)
    assert frame.loc["maps:mine", "AD"] == pytest.approx(frame.loc["fake-cam", "AD"])
    assert frame.loc["maps:mine", "equal_to"] == "fake-cam" or frame.loc["fake-cam", "equal_to"] == "maps:mine"
    next(maps.rglob("*.npy")).unlink()
    assert main(command(photos, out, "--maps", str(maps), methods="grad-cam")) == 2


def test_metrics_of_the_object_need_its_annotation(photos, tmp_path, capsys):
    for name, needs in (("LE", "object boxes"), ("PxAP", "object masks")):
        arguments = [*command(photos, tmp_path), "--metrics", name]
        assert main(arguments) == 2
        assert f"{name} needs {needs}" in capsys.readouterr().err


def test_changed_boxes_are_scored_again(photos, tmp_path, capsys):
    """The annotation is part of a row's key; map metrics of old boxes must not stand in a table of new ones."""
    found = []
    for box in ("0,0,48,40", "0,0,24,20"):
        (tmp_path / "boxes.csv").write_text(f"image,x0,y0,x1,y1\nclass0/0,{box}\n")
        extra = ["--boxes", str(tmp_path / "boxes.csv"), "--metrics", "EP", "--no-controls"]
        assert main(command(photos, tmp_path / "out", *extra, methods="grad-cam")) == 0
        found.append(table(tmp_path / "out").loc["grad-cam", "EP"])
    assert found[0] == pytest.approx(100)
    assert found[1] < 90


def test_where_boxes_exist_the_table_has_their_columns(photos, tmp_path):
    (tmp_path / "boxes.csv").write_text("image,x0,y0,x1,y1\nclass0/0,0,0,24,40\nclass1/0,4,4,30,30\n")
    boxes = str(tmp_path / "boxes.csv")
    arguments = ["--model", TINY, "--data", "folder", "--data-root", str(photos), "--methods", "grad-cam", "--boxes",
                 boxes, "--protocol", "clean+steps=2", "--out", str(tmp_path / "out")]  # fmt: skip
    assert main(arguments) == 0
    frame = table(tmp_path / "out")
    assert {"EP", "F1", "LE", "AD"} <= set(frame.columns)
    assert frame.loc["grad-cam", "EP_n"] == 2
    assert frame.loc["box-oracle", "EP"] == pytest.approx(100)
    assert frame.loc["box-context", "EP"] == pytest.approx(0, abs=1)
    assert frame.loc["box-oracle", "LE"] == 0


def test_a_grid_has_its_own_protocol_and_metric(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert main(["--data", "grid(confidence=0.6)", "--methods", "grad-cam", "--no-controls", "--limit", "4"]) == 0
    (out,) = (tmp_path / "results").iterdir()
    assert out.name == "efficientnet_lite0-grid_confidence_0.6_-grid"
    row = table(out).loc["grad-cam"]
    assert row.GPG_n == 4
    assert 25 < row.GPG <= 100


def test_the_box_oracle_stands_where_boxes_exist(photos, tmp_path):
    boxes = tmp_path / "boxes.csv"
    rows = [f"{path.relative_to(photos).with_suffix('')},4,4,40,36" for path in sorted(photos.rglob("*.png"))]
    boxes.write_text("\n".join(["image,x0,y0,x1,y1", *rows]) + "\n")
    assert main(command(photos, tmp_path / "out", "--boxes", str(boxes), methods="grad-cam")) == 0
    assert table(tmp_path / "out").loc["box-oracle", "status"] == "ok"


def test_re_explain_metrics_run_from_the_command(photos, tmp_path):
    assert main(command(photos, tmp_path, "--metrics", "MPRT1", "--limit", "4", methods="grad-cam,eigen-cam")) == 0
    frame = table(tmp_path)
    assert frame.loc["fake-cam", "MPRT1"] == pytest.approx(100)
    assert frame.loc["eigen-cam", "MPRT1"] == pytest.approx(100)
    assert frame.loc["grad-cam", "MPRT1"] < 99


def test_the_timing_pass_stands_apart_and_is_kept(photos, tmp_path):
    arguments = command(photos, tmp_path, "--metrics", "AD,T", "--no-controls", methods="grad-cam")
    assert main(arguments) == 0
    timing = pd.read_csv(tmp_path / "timing.csv")
    assert set(timing.batch) == {1, 4}
    assert (timing.forward == 1).all()
    assert (timing.backward == 1).all()
    assert (timing.seconds_low <= timing.seconds_high).all()
    assert table(tmp_path).loc["grad-cam", "T_s"] > 0
    before = (tmp_path / "timing.csv").read_bytes()
    assert main(arguments) == 0
    assert (tmp_path / "timing.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--methods", "grad-cm"], "did you mean 'grad-cam'"),
        (["--methods", "grad-cam(steps=3)"], "no parameter 'steps'"),
        (["--methods", ","], "names no method"),
        (["--metrics", "AE"], "unknown metric 'AE'"),
        (["--protocol", "clea"], "did you mean 'clean'"),
        (["--data", "imagnet"], "did you mean 'imagenet'"),
        (["--model", "resnet5"], "did you mean 'resnet50'"),
        (["--layer", "33"], "33"),
        (["--target", "seven"], "is not a class"),
        (["--batch-size", "0"], "from 1 to 4096"),
        (["--limit", "0"], "at least 1"),
        (["--skip", "-1"], "at least 0"),
        (["--skip", "14"], "--skip 14 leaves none of 14 images"),
        (["--device", "cuda:99"], "cannot be used"),
        (["--data-root", "nowhere"], "nowhere"),
        (["--plugin", "nowhere.py"], "no such Python file"),
        (["--maps", "nowhere"], "no such folder"),
        (["--weights", "other=file.pth"], "names no file for"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(photos, tmp_path, capsys, extra, message):
    assert main([*command(photos, tmp_path), *extra]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert error.startswith("error: ")
    assert "\n" not in error


def test_a_protocol_with_true_classes_needs_labels(photos, tmp_path, capsys):
    flat = tmp_path / "flat"
    flat.mkdir()
    (flat / "a.png").write_bytes((photos / "class0" / "0.png").read_bytes())
    assert main(command(flat, tmp_path / "out", "--target", "true")) == 2
    assert "add --target predicted" in capsys.readouterr().err


def test_list_names_everything(capsys):
    assert main(["--list"]) == 0
    text = capsys.readouterr().out
    for name in ("grad-cam", "opti-cam", "steps: int", "AD↓", "resnet50", "samples", "opticam-2024", "grad-cam 1."):
        assert name in text


def test_a_plugin_brings_metrics_classifiers_and_data_sets(photos, tmp_path):
    arguments = ["--plugin", str(ASSETS / "metric_plugin.py"), "--model", "plugin-net", "--data", "plugin-data"]
    arguments += ["--data-root", str(photos), "--methods", "grad-cam", "--metrics", "PEAK,AD", "--no-controls"]
    assert main([*arguments, "--out", str(tmp_path), "--device", "cpu"]) == 0
    assert 0 <= table(tmp_path).loc["grad-cam", "PEAK"] <= 31


ENTRY_POINT = """
from cambench import explainer

@explainer("installed-cam", paper="an installed package")
def installed_cam(classifier, images, targets):
    return classifier.features(images).mean(1)
"""


def test_an_installed_package_brings_its_explainer(photos, tmp_path):
    package = tmp_path / "site"
    (package / "installed_cam-1.0.dist-info").mkdir(parents=True)
    (package / "installed_cam.py").write_text(ENTRY_POINT)
    (package / "installed_cam-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: installed-cam\nVersion: 1.0\n"
    )
    (package / "installed_cam-1.0.dist-info" / "entry_points.txt").write_text(
        "[cambench.explainers]\ncam = installed_cam\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{package}"}
    listed = subprocess.run([sys.executable, str(ROOT / "run_benchmark.py"), "--list"], env=environment,
                            capture_output=True, text=True, check=True)  # fmt: skip
    assert "installed-cam" in listed.stdout


def test_an_interrupt_keeps_what_is_finished(photos, tmp_path, monkeypatch, capsys):
    from bench.run.engine import worker

    real, calls = worker.evaluate, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise Interrupted
        return real(*arguments)

    monkeypatch.setattr(worker, "evaluate", interrupted)
    assert main(command(photos, tmp_path)) == 130
    assert "the same command resumes from here" in capsys.readouterr().err
    assert len(list((tmp_path / "scores").iterdir())) == 2


def test_out_of_memory_is_a_status_of_one_method(photos, tmp_path, monkeypatch):
    from bench.run.engine import worker

    real = worker.evaluate

    def small(context, source, *arguments):
        if source.label == "cam":
            raise MemoryError
        return real(context, source, *arguments)

    monkeypatch.setattr(worker, "evaluate", small)
    assert main(command(photos, tmp_path, "--no-controls")) == 1
    assert table(tmp_path).status.to_dict()["cam"] == "out of memory"
    assert table(tmp_path).status.to_dict()["grad-cam"] == "ok"


def test_a_full_disk_ends_the_run_with_one_line_and_the_run_goes_on_later(
    photos, finished, tmp_path, monkeypatch, capsys
):
    from bench.core import files as stored

    real, calls = stored.os.replace, []

    def full(*arguments):
        calls.append(1)
        if len(calls) > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(stored.os, "replace", full)
    assert main(command(photos, tmp_path)) == 2
    assert "is full" in capsys.readouterr().err
    monkeypatch.undo()
    assert main(command(photos, tmp_path)) == 0
    assert files(tmp_path)["leaderboard.csv"] == files(finished)["leaderboard.csv"]
