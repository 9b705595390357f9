"""Pascal VOC and COCO: a sample per image and class."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from bench.core.dataset import load_dataset
from bench.core.errors import UsageError
from bench.data.manifest import build_manifest
from bench.data.selection import select

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
BOX = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"


def voc_object(name, box, difficult=0):
    """With a body part, whose box is none of the object's."""
    part = f"<part><name>head</name>{BOX.format(1, 1, 2, 2)}</part>"
    return f"<object><name>{name}</name><difficult>{difficult}</difficult>{BOX.format(*box)}{part}</object>"


def voc_tree(root, year=2012, split="val", objects=None):
    """Three images of 8 × 6: `one` with two cats and a dog, `two` with a bus and a difficult dog, `six` with a
    difficult dog alone; `one` is segmented."""
    base = root / "VOCdevkit" / f"VOC{year}"
    for folder in ("ImageSets/Main", "ImageSets/Segmentation", "JPEGImages", "Annotations", "SegmentationClass"):
        (base / folder).mkdir(parents=True)
    objects = objects or {
        "one": [("dog", (8, 6, 8, 6)), ("cat", (1, 1, 3, 4)), ("cat", (2.5, 2, 8, 6))],
        "two": [("dog", (1, 1, 4, 4), 1), ("bus", (2, 2, 5, 5))],
        "six": [("dog", (1, 1, 4, 4), 1)],
    }
    for name, found in objects.items():
        Image.new("RGB", (8, 6), (len(found), 0, 0)).save(base / "JPEGImages" / f"{name}.jpg")
        text = "".join(voc_object(*item) for item in found)
        (base / "Annotations" / f"{name}.xml").write_text(f"<annotation><folder>V</folder>{text}</annotation>")
    (base / f"ImageSets/Main/{split}.txt").write_text("\n".join(objects) + "\n")
    (base / f"ImageSets/Segmentation/{split}.txt").write_text("one\n")
    values = np.zeros((6, 8), np.uint8)
    values[0, :3], values[5, 7], values[1] = 8, 12, 255  # cat is the 8th of the classes, dog the 12th
    mask = Image.frombytes("P", (8, 6), values.tobytes())
    mask.putpalette(bytes(range(256)) * 3)
    mask.save(base / "SegmentationClass" / "one.png")
    return root


def test_voc_has_a_sample_per_image_and_class_with_zero_based_exclusive_boxes(tmp_path):
    found = load_dataset("voc", voc_tree(tmp_path))
    assert found.classes == VOC_CLASSES
    assert [(s.id, s.path.name, s.label, s.boxes) for s in found.samples] == [
        ("one/cat", "one.jpg", 7, ((0, 0, 3, 4), (1.5, 1, 8, 6))),
        ("one/dog", "one.jpg", 11, ((7, 5, 8, 6),)),
        ("two/bus", "two.jpg", 5, ((1, 1, 5, 5),)),
    ]


def test_voc_masks_hold_one_class_and_keep_the_void(tmp_path):
    cat, dog, bus = load_dataset("voc", voc_tree(tmp_path)).samples
    assert bus.mask is None
    expected = np.zeros((6, 8), np.uint8)
    expected[1] = 255
    expected[0, :3] = 1
    assert cat.mask().mode == "L"
    assert np.array_equal(np.asarray(cat.mask()), expected)
    expected[0] = 0
    expected[5, 7] = 1
    assert np.array_equal(np.asarray(dog.mask()), expected)


def test_a_voc_mask_is_identified_by_class_and_content_wherever_it_lies(tmp_path):
    here, there, other = (voc_tree(tmp_path / name) for name in ("here", "there", "other"))
    file = other / "VOCdevkit/VOC2012/SegmentationClass/one.png"
    with Image.open(file) as image:
        changed = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    changed.save(file)
    marks = [[repr(s.mask) for s in load_dataset("voc", root).samples[:2]] for root in (here, there, other)]
    assert marks[0] == marks[1]
    assert len({*marks[0], *marks[2]}) == 4


def test_voc_without_the_segmentation_task_has_no_masks(tmp_path):
    root = voc_tree(tmp_path)
    (root / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt").unlink()
    assert not load_dataset("voc", root).has("masks")


def test_voc_of_another_year_and_split(tmp_path):
    found = load_dataset("voc(year=2007,split=test)", voc_tree(tmp_path, 2007, "test"))
    assert len(found.samples) == 3


@pytest.mark.parametrize("spec", ["voc", "voc(year=2007)", "voc(split=train)", "voc(split=vall)", "voc(year=2009)"])
def test_a_missing_voc_shows_the_layout(tmp_path, spec):
    (tmp_path / "VOCdevkit/VOC2012/ImageSets/Main").mkdir(parents=True)
    with pytest.raises(UsageError, match="VOCdevkit/VOC2012 with ImageSets/Main"):
        load_dataset(spec, tmp_path)


@pytest.mark.parametrize(
    ("item", "message"),
    [(("unicorn", (1, 1, 4, 4)), "no class 'unicorn'"), (("cat", (5, 1, 4, 4)), "inverted box 5,1,4,4"),
     (("cat", ("a", 1, 4, 4)), "could not convert")],
)  # fmt: skip
def test_a_malformed_voc_annotation_is_named(tmp_path, item, message):
    with pytest.raises(UsageError, match=f"bad.xml is not an annotation of VOC.*{message}"):
        load_dataset("voc", voc_tree(tmp_path, objects={"bad": [item]}))


@pytest.mark.parametrize("text", ["<annotation>", "<picture/>", None])
def test_a_voc_annotation_that_cannot_be_read_is_named(tmp_path, text):
    file = voc_tree(tmp_path) / "VOCdevkit/VOC2012/Annotations/one.xml"
    file.unlink() if text is None else file.write_text(text)
    with pytest.raises(UsageError, match="one.xml"):
        load_dataset("voc", tmp_path)


CATEGORIES = [{"id": 62, "name": "chair"}, {"id": 1, "name": "person"}, {"id": 64, "name": "potted plant"}]


def item(number, image, category, box, crowd=None):
    """A rectangle x, y, width, height; a crowd is a run-length code over columns of an image 6 high."""
    x, y, w, h = box
    polygon = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    return {"id": number, "image_id": image, "category_id": category, "bbox": list(box), "area": w * h,
            "iscrowd": int(crowd is not None),
            "segmentation": polygon if crowd is None else {"size": [6, 8], "counts": crowd}}  # fmt: skip


def coco_tree(root, split="val2017"):
    """Images 7 and 9 of 8 × 6: two chairs in a crowd of chairs beside a plant; a person and a crowd of plants."""
    items = [
        item(1, 7, 62, (1, 1, 3, 2)), item(2, 7, 64, (0, 4, 8, 2)), item(3, 7, 62, (5, 0, 1, 1)),
        item(4, 7, 62, (0, 0, 4, 6), crowd=[0, 24, 24]), item(5, 9, 1, (2, 2, 2, 2)),
        item(6, 9, 64, (0, 0, 8, 1), crowd=[0, 1, 47]), item(7, 9, 1, (3, 3, 0, 2)),
    ]  # fmt: skip
    images = [{"id": n, "file_name": f"{n:012}.jpg", "height": 6, "width": 8} for n in (9, 7, 8)]
    (root / split).mkdir(parents=True)
    (root / "annotations").mkdir()
    for image in images:
        Image.new("RGB", (8, 6), (image["id"], 0, 0)).save(root / split / image["file_name"])
    text = json.dumps({"images": images, "annotations": items, "categories": CATEGORIES})
    (root / "annotations" / f"instances_{split}.json").write_text(text)
    return root


def test_coco_has_a_sample_per_image_and_category_that_is_more_than_a_crowd(tmp_path, capsys):
    found = load_dataset("coco", coco_tree(tmp_path))
    assert found.classes == ("person", "chair", "potted plant")
    assert [(s.id, s.path.name, s.label, s.boxes) for s in found.samples] == [
        ("000000000007/chair", "000000000007.jpg", 1, ((1, 1, 4, 3), (5, 0, 6, 1))),
        ("000000000007/potted-plant", "000000000007.jpg", 2, ((0, 4, 8, 6),)),
        ("000000000009/person", "000000000009.jpg", 0, ((2, 2, 4, 4),)),
    ]
    assert all(s.path.is_file() for s in found.samples)
    assert capsys.readouterr() == ("", "")


def test_coco_masks_hold_the_category_and_ignore_its_crowds(tmp_path):
    chair, plant, person = load_dataset("coco", coco_tree(tmp_path)).samples
    (tmp_path / "annotations/instances_val2017.json").unlink()  # read once
    expected = np.zeros((6, 8), np.uint8)
    expected[:, :4] = 255  # 24 pixels of columns
    expected[1:3, 1:4] = 1
    expected[0, 5] = 1
    assert chair.mask().mode == "L"
    assert np.array_equal(np.asarray(chair.mask()), expected)
    expected = np.zeros((6, 8), np.uint8)
    expected[4:] = 1
    assert np.array_equal(np.asarray(plant.mask()), expected)
    assert np.asarray(person.mask()).max() == 1


def test_a_coco_mask_is_identified_by_its_objects_wherever_the_file_lies(tmp_path):
    here, there = (load_dataset("coco", coco_tree(tmp_path / name)).samples for name in ("here", "there"))
    marks = [repr(s.mask) for s in here]
    assert marks == [repr(s.mask) for s in there]
    assert len(set(marks)) == 3
    file = tmp_path / "here/annotations/instances_val2017.json"
    moved = json.loads(file.read_text())
    moved["annotations"][0]["segmentation"][0][0] += 1
    file.write_text(json.dumps(moved))
    again = [repr(s.mask) for s in load_dataset("coco", tmp_path / "here").samples]
    assert [old == new for old, new in zip(marks, again, strict=True)] == [False, True, True]


def test_coco_of_another_split(tmp_path):
    assert len(load_dataset("coco(split=train2017)", coco_tree(tmp_path, "train2017")).samples) == 3


@pytest.mark.parametrize("gone", ["val2017", "annotations"])
def test_a_missing_coco_shows_the_layout(tmp_path, gone):
    (coco_tree(tmp_path) / gone).rename(tmp_path / "away")
    with pytest.raises(UsageError, match="ROOT/annotations/instances_val2017.json"):
        load_dataset("coco", tmp_path)


@pytest.mark.parametrize("text", ['{"images": [', "[]", '{"annotations": [{}]}'])
def test_a_broken_coco_file_is_named(tmp_path, text):
    (coco_tree(tmp_path) / "annotations/instances_val2017.json").write_text(text)
    with pytest.raises(UsageError, match="instances_val2017.json is not an annotation file of COCO"):
        load_dataset("coco", tmp_path)


@pytest.mark.parametrize(
    ("name", "tree", "first"), [("voc", voc_tree, "one/cat"), ("coco", coco_tree, "000000000007/chair")]
)
class TestBoth:
    """What holds for a data set with several samples of one file."""

    def test_a_csv_replaces_boxes_by_id_and_a_folder_is_refused(self, tmp_path, name, tree, first):
        root = tree(tmp_path / "data")
        (tmp_path / "b.csv").write_text(f"image,x0,y0,x1,y1\n{first},3,3,5,5\n")
        before, after = load_dataset(name, root).samples, load_dataset(name, root, tmp_path / "b.csv").samples
        assert after[0].boxes == ((3, 3, 5, 5),)
        assert [s.boxes for s in after[1:]] == [s.boxes for s in before[1:]]
        with pytest.raises(UsageError, match="does not tell the classes of an image apart"):
            load_dataset(name, root, root)

    def test_samples_of_one_file_share_its_digest_and_are_selected_one_by_one(self, tmp_path, name, tree, first):
        found = load_dataset(name, tree(tmp_path / "data"))
        manifest = build_manifest(found, progress=False)
        assert (manifest.problem == "").all()
        assert manifest.digest[0] == manifest.digest[1] != manifest.digest[2]
        assert manifest["class"][0] == first.split("/")[1]
        assert {s.id for s in select(found).samples} == {s.id for s in found.samples}
        assert len({s.annotation for s in found.samples}) == 3

    def test_no_root(self, name, tree, first):
        with pytest.raises(UsageError, match="--data-root"):
            load_dataset(name)
