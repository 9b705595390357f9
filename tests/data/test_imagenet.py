"""ImageNet's layouts."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from bench.core.dataset import load_dataset
from bench.core.errors import UsageError
from bench.data.manifest import build_manifest
from bench.data.pixels import open_image
from tests.places import SHARED

DATA = SHARED / "data" / "imagenet-val-1000"
SYNSETS = ["n01440764", "n01443537", "n01484850"]
OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"


def kaggle(root: Path, csv: bool = True, mapping: bool = True) -> Path:
    """Two images: the first shows class 2 twice, the second class 0."""
    val = root / "ILSVRC" / "Data" / "CLS-LOC" / "val"
    notes = root / "ILSVRC" / "Annotations" / "CLS-LOC" / "val"
    val.mkdir(parents=True)
    notes.mkdir(parents=True)
    truth = {"v_1": (2, [(1, 2, 30, 20), (5, 6, 39, 29)]), "v_2": (0, [(0, 0, 40, 30)])}
    lines = ["ImageId,PredictionString"]
    for name, (label, boxes) in truth.items():
        Image.new("RGB", (40, 30)).save(val / f"{name}.JPEG", "JPEG")
        objects = "".join(OBJECT.format(SYNSETS[label], *box) for box in boxes)
        (notes / f"{name}.xml").write_text(f"<annotation>{objects}</annotation>")
        lines.append(f"{name}," + " ".join(f"{SYNSETS[label]} {' '.join(map(str, box))}" for box in boxes) + " ")
    if csv:
        (root / "LOC_val_solution.csv").write_text("\n".join(lines))
    if mapping:
        (root / "LOC_synset_mapping.txt").write_text(
            "n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\nn01484850 great white shark"
        )
    return root


def check(found, classes=("tench", "goldfish", "great white shark")):
    assert found.classes[:3] == classes
    assert [(s.id, s.label, s.boxes) for s in found.samples] == [
        ("v_1", 2, ((1, 2, 30, 20), (5, 6, 39, 29))),
        ("v_2", 0, ((0, 0, 40, 30),)),
    ]


@pytest.mark.parametrize("csv", [True, False])
@pytest.mark.parametrize("mapping", [True, False])
def test_kaggle_layout(tmp_path, csv, mapping):
    root = kaggle(tmp_path / "data", csv, mapping)
    found = load_dataset("imagenet", root)
    check(found)
    assert len(found.classes) == (3 if mapping else 1000)
    check(load_dataset("imagenet", root / "ILSVRC"))


def test_tables_inside_ilsvrc(tmp_path):
    root = kaggle(tmp_path / "data")
    for table in ("LOC_val_solution.csv", "LOC_synset_mapping.txt"):
        (root / table).rename(root / "ILSVRC" / table)
    check(load_dataset("imagenet", root))
    check(load_dataset("imagenet", root / "ILSVRC"))


def test_given_boxes_replace_the_known(tmp_path):
    root = kaggle(tmp_path / "data")
    (tmp_path / "b.csv").write_text("image,x0,y0,x1,y1\nv_2,3,3,9,9\n")
    found = load_dataset("imagenet", root, tmp_path / "b.csv").samples
    assert found[1].boxes == ((3, 3, 9, 9),)
    check(load_dataset("imagenet", root, root / "ILSVRC" / "Annotations" / "CLS-LOC" / "val"))


@pytest.mark.parametrize("folder", ["val", "."])
def test_folders_by_synset_keep_the_usual_indices(tmp_path, folder):
    for synset in ("n01484850", "n15075141"):
        (tmp_path / folder / synset).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / folder / synset / "a.JPEG", "JPEG")
    found = load_dataset("imagenet", tmp_path)
    assert [(s.id, s.label) for s in found.samples] == [("n01484850/a", 2), ("n15075141/a", 999)]
    assert found.classes[2] == "great white shark"
    assert found.classes[999] == "toilet tissue"
    assert len(found.classes) == 1000


def test_unknown_layouts_show_the_expected(tmp_path):
    for root in (None, tmp_path / "none", tmp_path):
        with pytest.raises(UsageError, match="LOC_val_solution.csv") as caught:
            load_dataset("imagenet", root)
        assert "\n" not in str(caught.value)
    root = kaggle(tmp_path / "data", csv=False)
    (root / "ILSVRC" / "Annotations" / "CLS-LOC" / "val" / "v_2.xml").unlink()
    with pytest.raises(UsageError, match="v_2.JPEG"):
        load_dataset("imagenet", root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ImageId,PredictionString\nv_1,\n", "line 2: v_1 has no class"),
        ("ImageId,PredictionString\nv_1,n01440764 5 5 1 9\n", "line 2: the box of v_1 is inverted"),
        ("a,b\n", "needs the columns"),
    ],
)
def test_malformed_solution(tmp_path, text, message):
    root = kaggle(tmp_path / "data")
    (root / "LOC_val_solution.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        load_dataset("imagenet", root)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the shared validation images")
def test_shared_images():
    found = load_dataset("imagenet", DATA)
    assert len(found.samples) == len(found.classes) == 1000
    assert sum(len(s.boxes) for s in found.samples) == 1469
    assert found.samples[0].id == "ILSVRC2012_val_00000347"
    assert found.classes[found.samples[0].label] == "canoe"
    for sample in found.samples:
        for x0, y0, x1, y1 in sample.boxes:
            assert 0 <= x0 < x1 <= 227
            assert 0 <= y0 < y1 <= 227
    assert open_image(found.samples[0].path).size == (227, 227)
    notes = DATA / "ILSVRC" / "Annotations" / "CLS-LOC" / "val"
    by_file = load_dataset("imagenet", DATA, notes)
    assert [sorted(s.boxes) for s in by_file.samples] == [sorted(s.boxes) for s in found.samples]


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the shared validation images")
def test_shared_images_all_decode():
    assert (build_manifest(load_dataset("imagenet", DATA), progress=False)["problem"] == "").all()
