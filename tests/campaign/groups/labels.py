"""Folders whose names are classes of the network, or are not; and ImageNet's, VOC's and COCO's layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.campaign.case import Group, fine, refused, said
from tests.campaign.inputs import command, having, photos, stored, text

labels, layouts = Group("labels by name"), Group("layouts of data sets")
GROUPS = [labels, layouts]

NETS = """

def named(*names):
    net = Net(len(names))
    net.classes = list(names)
    return net


def turned():
    return named("dog", "cat")


def four():
    return named("bird", "cat", "dog", "eel")


def other():
    return named("apple", "pear")


def spelt():
    return named("Dog", "tabby_cat")


def twice():
    return named("cat", "cat")


def three():
    return Net(3)


def imagenet():
    return Net(1000)


def background():
    return Net(1001)
"""


def explained(**expected: int) -> Callable[[Path], None]:
    """A check of the class that the images of each folder are explained for."""

    def check(folder: Path) -> None:
        rows = stored(folder)
        for name, target in expected.items():
            found = {int(value) for value in rows[rows.image.str.startswith(f"{name}/")].target}
            assert found == {target}, f"{name} is explained as {sorted(found)}, not {target}"

    return check


def no_labels(folder: Path) -> None:
    rows = stored(folder)
    assert rows.label.isna().all(), "images have labels"


true = ("--target", "true")
for name, builder, names, argv, outcome, check in (
    ("another order", "turned", None, true, fine(), explained(cat=1, dog=0)),
    ("two of four classes", "four", None, true, fine(), explained(cat=1, dog=2)),
    ("other spelling", "spelt", ["dog/0.png", "Tabby Cat/1.png"], true, fine(), explained(dog=0, **{"Tabby Cat": 1})),
    ("one folder is no class", "turned", ["cat/0.png", "eel/1.png"], true, refused("eel|label"), None),
    ("one folder is no class and need not be", "turned", ["cat/0.png", "eel/1.png"], (), said("eel"), None),
    ("no folder is a class", "other", None, true, refused("cat|label", "apple|label|class"), None),
    ("no folder is a class and need not be", "other", None, (), said("label|class"), None),
    ("two classes have the name", "twice", ["cat/0.png", "cat/1.png"], true, refused("cat|label|classes"), None),
    ("seven folders, a thousand classes", "imagenet", [f"class {i}/0.png" for i in range(7)], (),
     fine("7", "1000", "ignored"), no_labels),
    ("two folders, three classes", "three", None, (), fine("2", "3", "ignored"), no_labels),
    ("two folders, three classes, the true one asked for", "three", None, true, refused("label"), None),
    ("folders named by index", "three", ["0/a.png", "2/b.png"], true, fine(), explained(**{"0": 0, "2": 2})),
    ("folders named by an index beyond", "three", ["0/a.png", "7/b.png"], true, refused("7|label"), None),
    ("as many folders as unnamed classes", "build", None, true, fine(), explained(cat=0, dog=1)),
    ("macOS's folder is no class", "four", ["cat/0.png", "dog/1.png", "__MACOSX/cat/2.png"], true, fine(),
     explained(cat=1, dog=2)),
    ("an empty folder is no class", "build", None, true, fine(), explained(cat=0, dog=1)),
):  # fmt: skip
    actions = [lambda folder: (folder / "photos/aardvark").mkdir()] if "empty folder" in name else []
    make = having(*actions, net=NETS, **({} if names is None else {"names": names}))
    labels.add(name, command("--model", f"net.py:{builder}", *argv), outcome, make=make, check=check)
labels.add("a folder's name as target", command("--model", "net.py:build", "--target", "dog"), fine(),
           make=having(net=NETS), check=explained(cat=1, dog=1))  # fmt: skip
labels.add("names from a file", command("--classes", "names.txt", *true), fine(),
           make=having(text("names.txt", "dog\ncat\n")), check=explained(cat=1, dog=0))  # fmt: skip
labels.add("names from a file with Windows' line ends", command("--classes", "names.txt", *true), fine(),
           make=having(text("names.txt", b"\xef\xbb\xbfdog\r\ncat\r\n")), check=explained(cat=1, dog=0))  # fmt: skip
labels.add("names from a file with an empty line", command("--classes", "names.txt", *true), refused("names.txt|class"),
           make=having(text("names.txt", "dog\n\ncat\n")))  # fmt: skip

SYNSETS = ["n01440764/a.JPEG", "n02102040/b.JPEG"]
for name, builder, data, outcome, check in (
    ("Imagenette's folders and a net of 1000 classes", "thousand", "folder", fine(),
     explained(n01440764=0, n02102040=217)),
    ("Imagenette's folders by ImageNet's loader", "thousand", "imagenet", fine(),
     explained(n01440764=0, n02102040=217)),
    ("1001 outputs on ImageNet", "background", "imagenet", refused("1001", "1000"), None),
):  # fmt: skip
    net = (
        NETS
        + """

def thousand():
    from torchvision.models import ResNet18_Weights

    net = Net(1000)
    net.classes = list(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])
    return net
"""
    )
    labels.add(name, command("--model", f"net.py:{builder}", "--data", data, *true), outcome,
               make=having(net=net, names=SYNSETS), check=check)  # fmt: skip
labels.add("1001 outputs on ImageNet, labels not needed", command("--model", "net.py:background", "--data", "imagenet"),
           said("1001", "1000"), make=having(net=NETS, names=SYNSETS))  # fmt: skip
labels.add("one crane of ImageNet's two", command("--model", "net.py:thousand", "--target", "crane"),
           refused("crane", "134", "517"), make=having(net=net, names=SYNSETS))  # fmt: skip


def kaggle(solution: str | None = None, mapping: str | None = None, xml: str | None = None) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        photos(folder / "photos/ILSVRC/Data/CLS-LOC/val", ["v_1.JPEG", "v_2.JPEG"])
        for name, content in (("LOC_val_solution.csv", solution), ("LOC_synset_mapping.txt", mapping)):
            if content is not None:
                (folder / "photos" / name).write_text(content)
        if xml is not None:
            text("photos/ILSVRC/Annotations/CLS-LOC/val/v_1.xml", xml)(folder)
            text("photos/ILSVRC/Annotations/CLS-LOC/val/v_2.xml", xml)(folder)

    return make


MAPPING = "n01440764 tench, Tinca tinca\nn02102040 springer\n"
HEAD = "ImageId,PredictionString\n"
GOOD = HEAD + "v_1,n01440764 1 2 30 20 \nv_2,n02102040 1 2 30 20 \n"
XML = ("<annotation><object><name>{}</name><bndbox><xmin>{}</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>"
       "</object></annotation>")  # fmt: skip
for name, made, outcome in (
    ("Kaggle's", kaggle(GOOD, MAPPING), fine()),
    ("Kaggle's without labels", kaggle(), refused("class|label|synset")),
    ("a solution without its columns", kaggle("a,b\n1,2\n", MAPPING), refused("solution", "ImageId")),
    ("a solution with a line without class", kaggle(HEAD + "v_1,\nv_2,n02102040\n", MAPPING), refused("line 2|v_1")),
    ("a solution with a box of three numbers", kaggle(GOOD.replace("1 2 30 20 \n", "1 2 30 \n", 1), MAPPING),
     refused("v_1", "four|box")),
    ("a solution with words for numbers", kaggle(GOOD.replace("1 2", "one two"), MAPPING), refused("v_1|v_2", "number")),  # noqa: E501
    ("a solution with an inverted box", kaggle(GOOD.replace("1 2 30 20", "30 2 1 20"), MAPPING),
     refused("inverted|empty")),
    ("a solution with an unknown synset", kaggle(GOOD.replace("n02102040", "n99999999"), MAPPING), refused("n99999999")),  # noqa: E501
    ("a solution in another encoding", lambda folder: (kaggle(GOOD, MAPPING)(folder), text(
     "photos/LOC_val_solution.csv", HEAD.encode() + b"caf\xe9,n01440764\n")(folder)), refused("solution", "UTF-8|encod")),  # noqa: E501
    ("an empty solution", kaggle("", MAPPING), refused("solution")),
    ("a mapping that is empty", kaggle(GOOD, ""), refused("mapping|class|synset")),
    ("a mapping of synsets alone", kaggle(GOOD, "n01440764\nn02102040\n"), fine()),
    ("annotations alone", kaggle(mapping=MAPPING, xml=XML.format("n01440764", 1)), fine()),
    ("annotations that are cut short", kaggle(mapping=MAPPING, xml="<annotation><object>"), refused("v_1.xml", "XML")),
    ("annotations without an object", kaggle(mapping=MAPPING, xml="<annotation></annotation>"),
     refused("class|label|synset")),
    ("annotations with a bad number", kaggle(mapping=MAPPING, xml=XML.format("n01440764", "x")), refused("v_1", "number")),  # noqa: E501
    ("another layout", lambda folder: photos(folder / "photos", ["a.JPEG"]), refused("photos", "ImageNet|expected")),
    ("an empty val", lambda folder: (folder / "photos/val").mkdir(parents=True), refused("no images|expected")),
):  # fmt: skip
    layouts.add(f"ImageNet: {name}", command("--data", "imagenet", "--protocol", "clean+steps=2"), outcome,
                make=having(made, names=[]))  # fmt: skip


def voc(xml: str | None = None, lists: str = "one\n", **files: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        base = folder / "photos/VOCdevkit/VOC2012"
        photos(base / "JPEGImages", ["one.jpg"])
        text("photos/VOCdevkit/VOC2012/ImageSets/Main/val.txt", lists)(folder)
        if xml is not None:
            text("photos/VOCdevkit/VOC2012/Annotations/one.xml", xml)(folder)

    return make


VOC = XML.replace("</name>", "</name><difficult>0</difficult>")
for name, made, argv, outcome in (
    ("VOC: as it is", voc(VOC.format("cat", 1)), ("--data", "voc"), fine()),
    ("VOC: a split that is missing", voc(VOC.format("cat", 1)), ("--data", "voc(split=tets)"), refused("tets")),
    ("VOC: a year that is missing", voc(VOC.format("cat", 1)), ("--data", "voc(year=1999)"), refused("1999")),
    ("VOC: a class that is unknown", voc(VOC.format("unicorn", 1)), ("--data", "voc"), refused("unicorn", "one.xml")),
    ("VOC: an annotation cut short", voc("<annotation><obj"), ("--data", "voc"), refused("one.xml")),
    ("VOC: no annotation", voc(), ("--data", "voc"), refused("one.xml|voc")),
    ("VOC: an inverted box", voc(VOC.format("cat", 50)), ("--data", "voc"), refused("inverted", "one.xml")),
    ("VOC: a list of nothing", voc(VOC.format("cat", 1), ""), ("--data", "voc"), refused("voc|VOC|image")),
    ("VOC: a list of images that are missing", voc(VOC.format("cat", 1), "one\ntwo\n"), ("--data", "voc"),
     refused("two")),
    ("VOC: another layout", lambda folder: photos(folder / "photos", ["a.jpg"]), ("--data", "voc"), refused("VOC")),
    ("VOC: boxes as a folder", voc(VOC.format("cat", 1)), ("--data", "voc", "--boxes", "photos"), refused("--boxes",
     "CSV")),
):  # fmt: skip
    layouts.add(name, command(*argv), outcome, make=having(made, names=[]))


def coco(annotations: str | None) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        photos(folder / "photos/val2017", ["000000000001.jpg"])
        if annotations is not None:
            text("photos/annotations/instances_val2017.json", annotations)(folder)

    return make


IMAGE = '"images": [{"id": 1, "file_name": "000000000001.jpg", "width": 40, "height": 36}]'
CATEGORY = '"categories": [{"id": 7, "name": "cat"}]'
OBJECT = ('"annotations": [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 2, 20, 20], "iscrowd": 0, "area": 400, '  # noqa: E501
          '"segmentation": [[1, 2, 21, 2, 21, 22, 1, 22]]}]')  # fmt: skip
for name, made, argv, outcome in (
    ("COCO: as it is", coco(f"{{{IMAGE}, {CATEGORY}, {OBJECT}}}"), ("--data", "coco"), fine()),
    ("COCO: no annotations", coco(None), ("--data", "coco"), refused("COCO|annotations")),
    ("COCO: annotations cut short", coco(f"{{{IMAGE}, {CATEGORY}"), ("--data", "coco"), refused("annotation")),
    ("COCO: a list", coco("[]"), ("--data", "coco"), refused("annotation")),
    ("COCO: an empty object", coco("{}"), ("--data", "coco"), refused("coco|annotation")),
    ("COCO: no objects", coco(f'{{{IMAGE}, {CATEGORY}, "annotations": []}}'), ("--data", "coco"), refused("coco|image")),  # noqa: E501
    ("COCO: an object of no category", coco(f'{{{IMAGE}, {CATEGORY.replace("7", "9")}, {OBJECT}}}'), ("--data", "coco"),
     refused("annotation|categor")),
    ("COCO: a box of words", coco(f"{{{IMAGE}, {CATEGORY}, {OBJECT}}}".replace("[1, 2, 20, 20]", '"big"')),
     ("--data", "coco"), refused("annotation|box")),
    ("COCO: an object without a box", coco(f"{{{IMAGE}, {CATEGORY}, {OBJECT}}}".replace('"bbox": [1, 2, 20, 20], ', "")),  # noqa: E501
     ("--data", "coco"), refused("annotation|box")),
    ("COCO: an image that is missing", coco(f"{{{IMAGE}, {CATEGORY}, {OBJECT}}}".replace("01.jpg", "02.jpg")),
     ("--data", "coco"), refused("no readable|not found|image")),
    ("COCO: a split that is missing", coco("{}"), ("--data", "coco(split=test)"), refused("test")),
    ("the grid with boxes", having(), ("--data", "grid(of=folder)", "--boxes", "net.py"), refused("grid", "--boxes")),
    ("the grid of one cell", having(), ("--data", "grid(of=folder,n=1)"), refused("n", "2")),
    ("the grid of negative mosaics", having(), ("--data", "grid(of=folder,mosaics=-1)"), refused("mosaics")),
    ("the grid with a confidence of 2", having(), ("--data", "grid(of=folder,confidence=2)"), refused("confidence")),
    ("the grid with too few classes", having(), ("--data", "grid(of=folder,n=3)"), refused("mosaic|classes")),
    ("the grid of itself", having(), ("--data", "grid(of=grid)"), refused("grid|samples")),
    ("the grid of an unknown set", having(), ("--data", "grid(of=photos)"), refused("photos")),
    ("the grid without labels", having(names=["0.png", "1.png"]), ("--data", "grid(of=folder)"),
     refused("mosaic|classes|label")),
):  # fmt: skip
    layouts.add(name, command(*argv), outcome, make=having(made, names=[]) if name.startswith("COCO") else made,
                environment={"CAMBENCH_CACHE": "cache"})  # fmt: skip
