"""The photographs that come with the installation."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from bench.core.dataset import load_dataset
from bench.core.errors import UsageError
from bench.data.manifest import build_manifest


def test_twenty_photographs_with_boxes():
    found = load_dataset("samples")
    assert len(found.samples) == 20
    assert len(found.classes) == 1000
    manifest = build_manifest(found, progress=False)
    assert (manifest["problem"] == "").all()
    assert manifest["digest"].is_unique
    for sample, row in zip(found.samples, manifest.itertuples(), strict=True):
        assert sample.id == f"imagenet_{row.Index:02d}_{sample.label}"
        assert sample.boxes
        for x0, y0, x1, y1 in sample.boxes:
            assert 0 <= x0 < x1 <= row.width
            assert 0 <= y0 < y1 <= row.height
            assert (x1 - x0) * (y1 - y0) > 0.005 * row.width * row.height
    assert list(manifest["class"])[:4] == ["bull mastiff", "folding chair", "beaker", "buckeye"]
    assert sum(len(s.boxes) for s in found.samples) == 46


def test_strawberries_are_red_inside_their_boxes_only():
    """A check of the boxes against the picture: nine red objects on a pale board."""
    sample = load_dataset("samples").samples[4]
    picture = np.asarray(Image.open(sample.path).convert("RGB")).astype(int)
    red = (picture[..., 0] > 90) & (picture[..., 0] > 1.8 * picture[..., 1]) & (picture[..., 0] > 1.8 * picture[..., 2])
    inside = np.zeros_like(red)
    for x0, y0, x1, y1 in sample.boxes:
        inside[int(y0) : int(y1), int(x0) : int(x1)] = True
        rows, columns = np.where(red[int(y0) : int(y1), int(x0) : int(x1)])
        assert rows.min() < 15
        assert columns.min() < 15
        assert rows.max() > y1 - y0 - 16
        assert columns.max() > x1 - x0 - 16
    assert red[inside].sum() > 0.99 * red.sum()


def test_the_package_itself_is_not_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "foolbox", raising=False)
    load_dataset("samples")
    assert "foolbox" not in sys.modules


def test_no_root():
    with pytest.raises(UsageError, match="takes no --data-root"):
        load_dataset("samples", "/tmp")


def test_other_boxes(tmp_path):
    (tmp_path / "b.csv").write_text("image,x0,y0,x1,y1\nimagenet_00_243,1,2,3,4\n")
    found = load_dataset("samples", None, tmp_path / "b.csv").samples
    assert found[0].boxes == ((1, 2, 3, 4),)
    assert found[1].boxes is None
