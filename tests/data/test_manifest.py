"""The manifest: every file read once, bad ones named."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from PIL import Image

from bench.core.dataset import Dataset, Sample, load_dataset
from bench.data.manifest import build_manifest
from bench.data.selection import select


def broken_tree(root):
    for name in ("cat", "dog"):
        (root / name).mkdir()
        for number in range(3):
            Image.effect_noise((20 + number, 30), 50).save(root / name / f"{number}.jpg")
    whole = (root / "cat" / "1.jpg").read_bytes()
    (root / "cat" / "1.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "dog" / "0.jpg").write_bytes(b"")
    (root / "dog" / "2.jpg").write_text("a text")


def test_columns_digests_and_problems(tmp_path, caplog):
    broken_tree(tmp_path)
    with caplog.at_level(logging.WARNING):
        manifest = build_manifest(load_dataset("folder", tmp_path), progress=False)
    assert list(manifest) == ["id", "file", "label", "class", "digest", "width", "height", "problem"]
    assert list(manifest["id"]) == ["cat/0", "cat/1", "cat/2", "dog/0", "dog/1", "dog/2"]
    assert list(manifest["class"]) == ["cat"] * 3 + ["dog"] * 3
    assert list(manifest["label"]) == [0, 0, 0, 1, 1, 1]
    bad = manifest[manifest["problem"] != ""].set_index("id")["problem"]
    assert set(bad.index) == {"cat/1", "dog/0", "dog/2"}
    assert "truncated" in bad["cat/1"]
    assert bad["dog/0"] == "empty file"
    assert "not an image" in bad["dog/2"]
    good = manifest[manifest["problem"] == ""]
    assert list(good["width"]) == [20, 22, 21]
    assert list(good["height"]) == [30, 30, 30]
    for row in manifest.itertuples():
        assert row.digest == hashlib.sha256(Path(row.file).read_bytes()).hexdigest()
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 3
    assert all(sum(f"{name}.jpg" in message for message in messages) == 1 for name in bad.index)


def test_select_leaves_problems_out(tmp_path):
    broken_tree(tmp_path)
    manifest = build_manifest(load_dataset("folder", tmp_path), progress=False)
    assert set(select(manifest)["id"]) == {"cat/0", "cat/2", "dog/1"}
    assert set(select(manifest, 2)["class"]) == {"cat", "dog"}


def test_a_missing_file_is_a_problem(tmp_path):
    manifest = build_manifest(Dataset("lost", (Sample("a", tmp_path / "a.jpg"),)), progress=False)
    assert manifest.loc[0, "problem"] == "file not found"
    assert manifest.loc[0, "digest"] == ""
    assert manifest["label"].isna().all()
    assert manifest.loc[0, "class"] == ""


def test_an_empty_set_has_the_columns():
    assert len(build_manifest(Dataset("none", ()), progress=False)["digest"]) == 0
