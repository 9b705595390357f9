"""Folders and files of images: broken, unusual, in formats that few have, and in places where none are expected."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.campaign.case import Group, fine, refused, said
from tests.campaign.inputs import all_of, command, has_row, having, images, photos, picture, text

folders, files = Group("data folders"), Group("image files")
GROUPS = [folders, files]


def add_photos(*names: str) -> Callable[[Path], None]:
    return lambda folder: photos(folder / "photos", names, start=50)


def link(name: str, target: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)

    return make


def fifo(folder: Path) -> None:
    os.mkfifo(folder / "photos/cat/pipe.png")


def socket(folder: Path) -> None:
    import socket

    listening = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(folder / "photos/cat")
    listening.bind("s.png")
    os.chdir(here)


def bytes_name(folder: Path) -> None:
    data = (folder / "photos/cat/0.png").read_bytes()
    with open(os.fsencode(folder / "photos/cat") + b"/caf\xe9.png", "wb") as opened:
        opened.write(data)


def bytes_folder(folder: Path) -> None:
    name = os.fsencode(folder / "photos") + b"/chien\xe9"
    os.mkdir(name)
    with open(name + b"/0.png", "wb") as opened:
        opened.write((folder / "photos/cat/0.png").read_bytes())


flat = having(names=[f"{index}.png" for index in range(4)])
folders.add("flat, without labels", command(), fine(), make=flat, check=all_of(has_row("gradient"), images(4)))
folders.add("flat, every metric and control", command("--metrics", "AD,AG,AI,I,D", controls=True), fine(), make=flat,
            check=has_row("fake-cam"))  # fmt: skip
folders.add("flat, with the time", command("--metrics", "AD,T"), fine(), make=flat, check=has_row("gradient"))
folders.add("flat, with a judge", command("--judges", "net.py:twin"), fine(),
            make=having(names=["0.png", "1.png"], net="\n\ndef twin():\n    net = Net()\n    net.fc.bias.data += 1\n"
                        "    return net\n"), check=has_row("gradient"))  # fmt: skip
folders.add("one image", command(), fine(), make=having(names=["0.png"]), check=images(1))
folders.add("one image of each of two classes", command("--target", "true"), fine(),
            make=having(names=["a/0.png", "b/0.png"]), check=images(2))  # fmt: skip
folders.add("one class folder", command(), fine(), make=having(names=["cat/0.png", "cat/1.png"]), check=images(2))
folders.add("more folders than classes", command("--target", "true"), refused("3", "2", "label|class|folder"),
            make=having(names=["a/0.png", "b/0.png", "c/0.png"]))  # fmt: skip
folders.add("more folders than classes, labels not needed", command(), said("3", "2", "label|class|folder"),
            make=having(names=["a/0.png", "b/0.png", "c/0.png"]))  # fmt: skip
folders.add("empty", command(), refused("photos", "no images|holds no"),
            make=having(lambda folder: (folder / "photos").mkdir(), names=[]))  # fmt: skip
folders.add("empty class folders", command(), refused("photos", "no images|holds no"),
            make=having(lambda folder: (folder / "photos/cat").mkdir(parents=True), names=[]))  # fmt: skip
folders.add("texts only", command(), refused("photos", "no images|holds no"),
            make=having(text("photos/readme.txt", "hello"), names=[]))  # fmt: skip
folders.add("an archive instead of a folder", command("--data-root", "photos.zip"), refused("photos.zip"),
            make=having(text("photos.zip", "PK")))  # fmt: skip
folders.add("images beside the class folders", command(), said("loose.png|beside"), make=having(
    add_photos("loose.png")))  # fmt: skip
for name, action in (
    ("a fifo", fifo),
    ("a socket", socket),
    ("a folder with an image's name", lambda folder: (folder / "photos/cat/x.png").mkdir()),
    ("a hidden file", add_photos("cat/.hidden.png")),
    ("a hidden folder", add_photos(".thumbnails/0.png")),
    ("macOS's folder", text("photos/__MACOSX/cat/._0.png", b"\0\5\x16\7")),
    ("macOS's files", text("photos/cat/._0.png", b"\0\5\x16\7")),
    ("Windows' files", text("photos/cat/Thumbs.db", "x")),
    ("a text among the images", text("photos/cat/notes.txt", "x")),
    ("a link to nothing", link("photos/cat/broken.png", "nowhere.png")),
    ("a link to itself", link("photos/cat/self.png", "self.png")),
    ("a folder that links to itself", link("photos/cat/again", ".")),
    ("a folder that links to its parent", link("photos/cat/up", "..")),
    ("an empty folder beside", lambda folder: (folder / "photos/eel").mkdir()),
):
    folders.add(f"{name} is no image", command("--target", "predicted"), fine(), make=having(action),
                check=images(6), seconds=30)  # fmt: skip
for name, action in (("a name in Latin-1", bytes_name), ("a folder's name in Latin-1", bytes_folder)):
    folders.add(name, command(), fine("left out|caf|chien|name"), make=having(action),
                check=has_row("gradient"))  # fmt: skip
for name, names in (
    ("names with spaces", ["my cats/a picture.png", "my dogs/b picture.png"]),
    ("names with commas and quotes", ['a, "b"/0,1.png', "c'd/it's.png"]),
    ("names in other scripts", ["кошка/фото.png", "犬/写真.png"]),
    ("names with emoji", ["🐈/1.png", "🐕/2.png"]),
    ("names with line breaks", ["cat/a\nb.png", "dog/c\td.png"]),
    ("names with brackets", ["cat[1]/x(2).png", "dog{3}/*?.png"]),
    ("names with backslashes", ["cat\\1/x.png", "dog/y\\z.png"]),
    ("names with per cent", ["cat%20/x%d.png", "dog/%s{}.png"]),
    ("names of 250 letters", ["cat/" + "x" * 250 + ".png", "dog/" + "y" * 250 + ".png"]),
    ("names that start with a hyphen", ["-cat/-x.png", "--dog/--y.png"]),
    ("names with pipes and LaTeX", ["a|b/x_1.png", "c&d/$y^2$#.png"]),
    ("upper case endings", ["cat/A.PNG", "dog/B.PNG"]),
    ("one stem with two endings", ["cat/a.png", "cat/a.bmp", "dog/b.png"]),
    ("names that differ in case", ["cat/a.png", "cat/A.png", "dog/b.png"]),
    ("deep below the class", ["cat/a/b/c/d/e/0.png", "dog/x/y/1.png"]),
    ("the root's name twice", ["photos/0.png", "other/1.png"]),
    ("ids that look like numbers", ["1/1.png", "2/02.png", "2/2e5.png"]),
    ("ids that look like missing", ["nan/NA.png", "null/None.png"]),
):  # fmt: skip
    folders.add(name, command("--metrics", "AD,I"), fine(), make=having(names=names),
                check=all_of(images(len(names)), has_row("gradient")))  # fmt: skip
folders.add("two hundred images", command("--limit", "200", "--batch-size", "50"), fine(),
            make=having(names=[f"{k}/{i}.png" for k in "ab" for i in range(100)]), check=images(200))  # fmt: skip
folders.add("the same image twice", command(), said("twice|same|duplicate|equal"), make=having(
    lambda folder: (folder / "photos/dog/copy.png").write_bytes((folder / "photos/cat/0.png").read_bytes())))  # fmt: skip  # noqa: E501
folders.add("relative root with dots", command("--data-root", "./photos/../photos/"), fine(), make=having(),
            check=images(6))  # fmt: skip
folders.add("root by a tilde", command("--data-root", "~/photos"), fine(), environment={"HOME": "."}, make=having(),
            check=images(6))  # fmt: skip
folders.add("root is a link", command("--data-root", "linked"), fine(), make=having(link("linked", "photos")),
            check=images(6))  # fmt: skip


def damaged(name: str, content: bytes) -> Callable[[Path], None]:
    return text(f"photos/cat/{name}", content)


def png(image: Image.Image, name: str, **options: object) -> Callable[[Path], None]:
    return lambda folder: image.save(folder / "photos/cat" / name, **options)


def shortened(name: str, **options: object) -> Callable[[Path], None]:
    def save(folder: Path) -> None:
        file = folder / "photos/cat" / name
        picture(9, 200, 200).save(file, **options)
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    return save


def bomb(folder: Path) -> None:
    Image.new("1", (14000, 14000)).save(folder / "photos/cat/bomb.png")


GOOD_FILES: dict[str, Callable[[Path], None]] = {
    "transparent": png(picture(9).convert("RGBA"), "x.png"),
    "grey": png(picture(9).convert("L"), "x.png"),
    "grey with transparency": png(picture(9).convert("LA"), "x.png"),
    "black and white": png(picture(9).convert("1"), "x.png"),
    "a palette": png(picture(9).convert("P"), "x.png"),
    "16 bits": png(Image.fromarray((np.arange(1600).reshape(40, 40) * 40).astype(np.uint16)), "x.png"),
    "CMYK": png(picture(9).convert("CMYK"), "x.jpg"),
    "a bitmap": png(picture(9), "x.bmp"),
    "a GIF": png(picture(9), "x.gif"),
    "an animation": png(picture(9), "x.gif", save_all=True, append_images=[picture(10), picture(11)]),
    "a TIFF": png(picture(9), "x.tif"),
    "a WebP": png(picture(9), "x.webp"),
    "turned by EXIF": png(picture(9), "x.jpg", exif=(lambda e: (e.__setitem__(0x0112, 6), e)[1])(Image.Exif())),
    "one pixel": png(picture(9, 1, 1), "x.png"),
    "long and thin": png(picture(9, 400, 8), "x.png"),
    "a PNG named .jpg": lambda folder: picture(9).save(folder / "photos/cat/x.jpg", format="PNG"),
    "black": png(Image.new("RGB", (40, 40)), "x.png"),
    "white": png(Image.new("RGB", (40, 40), "white"), "x.png"),
    "wholly transparent": png(Image.new("RGBA", (40, 40)), "x.png"),
    "progressive": png(picture(9), "x.jpg", progressive=True),
    "Lab colours": png(picture(9).convert("LAB"), "x.tif"),
}
for name, action in GOOD_FILES.items():
    files.add(name, command("--metrics", "AD,I,D"), fine(), make=having(action), check=images(7))
BAD_FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (damaged("x.png", b""), "empty"),
    "a text": (damaged("x.jpg", b"hello"), "x.jpg"),
    "a web page": (damaged("x.jpg", b"<html>not found</html>"), "x.jpg"),
    "a PNG cut short": (shortened("x.png"), "x.png"),
    "a JPEG cut short": (shortened("x.jpg"), "x.jpg"),
    "a header alone": (damaged("x.png", b"\x89PNG\r\n\x1a\n"), "x.png"),
    "a bomb": (bomb, "too large"),
    "a strip": (png(Image.new("L", (6000, 1)), "x.png"), "elongated|6000"),
    "floating point": (png(Image.fromarray(np.random.default_rng(0).random((40, 40), np.float32)), "x.tif"),
                       "float"),
    "32-bit pixels": (png(Image.fromarray(np.full((40, 40), 2**20, np.int32)), "x.tif"), "32-bit|x.tif"),
}  # fmt: skip
for name, (action, words) in BAD_FILES.items():
    files.add(f"{name} is named and left out", command(), fine(words, "left out"), make=having(action),
              check=images(6))  # fmt: skip
files.add("all are broken", command(), refused("no readable image|photos"),
          make=having(text("photos/0.png", "x"), text("photos/1.png", ""), names=[]))  # fmt: skip
files.add("all but one are broken", command(), fine("left out"), check=images(1),
          make=having(text("photos/cat/1.png", "x"), names=["cat/0.png"]))  # fmt: skip
for ending, encoder in ((".avif", "AVIF"), (".jfif", "JPEG"), (".jpe", "JPEG"), (".jp2", "JPEG2000"), (".tiff", "TIFF"),
                        (".dib", "BMP")):  # fmt: skip
    files.add(f"the ending {ending} is read or named", command(), said(""),
              make=having(lambda folder, e=ending, f=encoder: picture(9).save(folder / f"photos/cat/x{e}", format=f)),
              check=lambda folder: used_or_named(folder, 7))  # fmt: skip
for ending in (".heic", ".svg", ".cr2"):
    files.add(f"the ending {ending} is named", command(), fine(f"\\{ending}"),
              make=having(text(f"photos/cat/x{ending}", "x")), check=images(6))  # fmt: skip


def used_or_named(folder: Path, count: int) -> None:
    import pandas as pd

    found = len(pd.read_csv(folder / "out/images.csv"))
    told = (folder / "out/leaderboard.md").read_text()
    assert found == count or "left out" in told, f"{found} images were used, and nothing is said of the other"


def own_size(folder: Path) -> None:
    """28 × 28 pixels for a 28 × 28 net, whose classes tell a frame of one pixel."""
    rng = np.random.default_rng(0)
    for index in range(3):
        plain = rng.integers(60, 120, (28, 28, 3), dtype=np.uint8)
        framed = plain.copy()
        framed[[0, -1]] = framed[:, [0, -1]] = 255
        for kind, pixels in (("frame", framed), ("plain", plain)):
            file = folder / "photos" / kind / f"{index}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(file)


FRAME = """

class Frame(nn.Module):
    def __init__(self):
        super().__init__()
        self.c, self.fc = nn.Conv2d(3, 1, 3, 1, 1, bias=False), nn.Linear(1, 2)
        self.input_size, self.layer = 28, "c"
        ring = torch.zeros(1, 1, 28, 28)
        ring[..., 0, :] = ring[..., -1, :] = ring[..., :, 0] = ring[..., :, -1] = 1
        self.register_buffer("ring", ring / ring.sum())
        with torch.no_grad():
            self.c.weight.zero_()
            self.c.weight[0, :, 1, 1] = 1 / 3
            self.fc.weight[:] = torch.tensor([[20.0], [-20.0]])
            self.fc.bias[:] = torch.tensor([-14.0, 14.0])

    def forward(self, x):
        return self.fc((self.c(x) * self.ring).sum((2, 3)))
"""


def all_right(folder: Path) -> None:
    from tests.campaign.inputs import stored

    right = int(stored(folder).query("method == 'gradient'").right.sum())
    assert right == 6, f"{right} of 6 are right"


files.add("images of the net's own size are left as they are", command("--model", "net.py:Frame"), fine(),
          make=having(own_size, names=[], net=FRAME), check=all_right)  # fmt: skip
files.add("own size, squashed by name", command("--model", "net.py:Frame", "--protocol", "clean+steps=2+pixels=squash"),
          fine(), make=having(own_size, names=[], net=FRAME), check=all_right)  # fmt: skip
