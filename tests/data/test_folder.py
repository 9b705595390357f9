"""Image folders and their boxes."""

from __future__ import annotations

import pytest
from PIL import Image

from bench.core.dataset import load_dataset
from bench.core.errors import UsageError


def put(root, *names, size=(40, 30)):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(root / name)


def test_classes_are_sorted_folder_names(tmp_path):
    put(tmp_path, "dog/b.png", "cat/deep/a.JPG", "cat/c.jpeg", "dog/.hidden.png", ".cache/x.png")
    (tmp_path / "bird").mkdir()
    (tmp_path / "dog" / "notes.txt").write_text("no image")
    found = load_dataset("folder", tmp_path)
    assert found.classes == ("cat", "dog")
    assert [(s.id, s.label) for s in found.samples] == [("cat/c", 0), ("cat/deep/a", 0), ("dog/b", 1)]
    assert all(s.boxes is None for s in found.samples)
    assert all(s.path.is_file() for s in found.samples)


def test_flat_folder_has_no_labels(tmp_path):
    put(tmp_path, "b.png", "a.png")
    found = load_dataset("folder", tmp_path)
    assert found.classes is None
    assert [(s.id, s.label) for s in found.samples] == [("a", None), ("b", None)]


def test_files_that_differ_in_their_ending_alone_keep_it(tmp_path):
    put(tmp_path, "c/a.png", "c/a.jpg", "c/b.png")
    assert [s.id for s in load_dataset("folder", tmp_path).samples] == ["c/a.jpg", "c/a.png", "c/b"]


@pytest.mark.parametrize(
    ("names", "message"), [([], "holds no images"), (["a.png", "cat/b.png"], "a.png lies beside the class folders")]
)
def test_odd_trees(tmp_path, names, message):
    put(tmp_path, *names)
    with pytest.raises(UsageError, match=message):
        load_dataset("folder", tmp_path)


def test_missing_root_shows_the_layout(tmp_path):
    with pytest.raises(UsageError, match="ROOT/CLASS/IMAGE"):
        load_dataset("folder", tmp_path / "nowhere")
    with pytest.raises(UsageError, match="--data-root"):
        load_dataset("folder")
    with pytest.raises(UsageError, match="did you mean 'folder'"):
        load_dataset("foldr")


def test_boxes_by_id_or_by_file(tmp_path):
    put(tmp_path / "images", "cat/a.png", "cat/b.png", "dog/c.png")
    table = tmp_path / "boxes.csv"
    table.write_text(
        "image,x0,y0,x1,y1,note\ncat/a,1,2,3,4,\ncat/a.png,-5,0,10.5,20,partly outside\ndog/c,0,0,40,30,\n"
    )
    by_id = {s.id: s.boxes for s in load_dataset("folder", tmp_path / "images", table).samples}
    assert by_id == {"cat/a": ((1, 2, 3, 4), (-5, 0, 10.5, 20)), "cat/b": None, "dog/c": ((0, 0, 40, 30),)}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cat/a,3,2,1,4", "inverted"),
        ("cat/a,1,2,1,4", "inverted or empty"),
        ("cat/a,nan,2,3,4", "inverted"),
        ("cat/a,0,0,inf,4", "inverted"),
        ("cat/a,40,0,50,10", "outside the image of 40 × 30"),
        ("cat/a,0,-9,5,0", "outside"),
        ("cat/a,1,2,3", "four numbers"),
        ("cat/a,1,2,3,four", "four numbers"),
        ("cat/x,1,2,3,4", "did you mean 'cat/a"),
    ],
)
def test_bad_boxes_name_file_line_and_image(tmp_path, line, message):
    put(tmp_path / "images", "cat/a.png")
    table = tmp_path / "boxes.csv"
    table.write_text(f"image,x0,y0,x1,y1\ncat/a,1,2,3,4\n{line}\n")
    with pytest.raises(UsageError, match=message) as caught:
        load_dataset("folder", tmp_path / "images", table)
    assert "boxes.csv, line 3" in str(caught.value)
    assert line.split(",")[0] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_boxes_outside_are_judged_after_exif_rotation(tmp_path):
    tags = Image.Exif()
    tags[0x0112] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg", exif=tags)
    table = tmp_path / "boxes.csv"
    table.write_text("image,x0,y0,x1,y1\na,0,32,10,39\n")
    assert load_dataset("folder", tmp_path, table).samples[0].boxes == ((0, 32, 10, 39),)
    table.write_text("image,x0,y0,x1,y1\na,32,0,39,10\n")
    with pytest.raises(UsageError, match="30 × 40"):
        load_dataset("folder", tmp_path, table)


def test_unreadable_boxes(tmp_path):
    put(tmp_path / "images", "a.png")
    with pytest.raises(UsageError, match="no such boxes"):
        load_dataset("folder", tmp_path / "images", tmp_path / "none.csv")
    (tmp_path / "short.csv").write_text("image,x0,y0\na,1,2\n")
    with pytest.raises(UsageError, match="lacks the columns x1, y1"):
        load_dataset("folder", tmp_path / "images", tmp_path / "short.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00image")
    with pytest.raises(UsageError, match="UTF-8"):
        load_dataset("folder", tmp_path / "images", tmp_path / "binary.csv")
    with pytest.raises(UsageError, match="no box file"):
        load_dataset("folder", tmp_path / "images", tmp_path / "images")


def test_voc_files(tmp_path):
    put(tmp_path / "images", "cat/a.png", "cat/b.png")
    (tmp_path / "a.xml").write_text(
        "<annotation><object><name>cat</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax>"
        "</bndbox></object></annotation>"
    )
    (tmp_path / "b.xml").write_text("<annotation/>")
    by_id = {s.id: s.boxes for s in load_dataset("folder", tmp_path / "images", tmp_path).samples}
    assert by_id == {"cat/a": ((1, 2, 30, 20),), "cat/b": None}
    put(tmp_path / "images", "dog/a.png", "dog/e.png")
    (tmp_path / "e.xml").write_text((tmp_path / "a.xml").read_text())
    by_id = {s.id: s.boxes for s in load_dataset("folder", tmp_path / "images", tmp_path).samples}
    assert by_id["cat/a"] is by_id["dog/a"] is None  # whose a.xml is, is not known
    assert by_id["dog/e"] == ((1, 2, 30, 20),)
    (tmp_path / "b.xml").write_text("<annotation>")
    with pytest.raises(UsageError, match=r"b\.xml is not a VOC"):
        load_dataset("folder", tmp_path / "images", tmp_path)
