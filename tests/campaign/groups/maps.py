"""Saliency maps that were computed elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.campaign.case import FAILED, Group, Outcome, Step, fine, refused, said
from tests.campaign.inputs import TWO, command, has_row, having, stored

maps = Group("precomputed maps")
GROUPS = [maps]
RNG_SHAPE = (7, 7)


def saved(change: Callable[[int, np.ndarray], Any] = lambda index, values: values, folder: str = "maps",
          names: list[str] = TWO) -> Callable[[Path], None]:  # fmt: skip
    """An action that saves a map for each picture, changed by number."""

    def save(root: Path) -> None:
        rng = np.random.default_rng(0)
        for index, name in enumerate(names):
            value = change(index, rng.standard_normal(RNG_SHAPE).astype(np.float32))
            file = (root / folder / name).with_suffix(".npy")
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(value, bytes):
                file.write_bytes(value)
            elif value is not None:
                np.save(file, value, allow_pickle=True)

    return save


def third(value: Any) -> Callable[[int, np.ndarray], Any]:
    """Another value, or a function of the values, for the third picture."""
    return lambda index, values: values if index != 2 else (value(values) if callable(value) else value)


mine = command("--maps", "maps", "--methods", "gradient", "--metrics", "AD,I")
broken = Outcome((FAILED, 2), ("cat/2",))
for name, change, outcome in (
    ("good", lambda index, values: values, fine()),
    ("whole numbers", third(lambda v: (v * 100).astype(np.int64)), fine()),
    ("bytes", third(lambda v: np.abs(v * 50).astype(np.uint8)), fine()),
    ("yes and no", third(lambda v: v > 0), fine()),
    ("half precision", third(lambda v: v.astype(np.float16)), fine()),
    ("double precision", third(lambda v: v.astype(np.float64)), fine()),
    ("big-endian", third(lambda v: v.astype(">f4")), fine()),
    ("column order", third(np.asfortranarray), fine()),
    ("one pixel", third(np.ones((1, 1), np.float32)), fine()),
    ("constant", third(np.ones((7, 7), np.float32)), fine()),
    ("all zero", third(np.zeros((7, 7), np.float32)), fine()),
    ("negative", third(lambda v: -np.abs(v)), fine()),
    ("NaN", third(lambda v: v * np.nan), fine("non-finite|NaN|finite|degenerate")),
    ("one NaN", third(lambda v: np.where(v == v.max(), np.nan, v)), fine("non-finite|NaN|finite|degenerate")),
    ("infinite", third(lambda v: v * np.inf), fine("non-finite|NaN|finite|degenerate")),
    ("huge numbers", third(lambda v: v.astype(np.float64) * 1e300), said("")),
    ("tiny numbers", third(lambda v: v.astype(np.float64) * 1e-300), fine()),
    ("not square", third(np.ones((3, 9), np.float32)), said("")),
    ("with an axis of one", third(lambda v: v[None]), broken),
    ("with colours", third(np.ones((7, 7, 3), np.float32)), broken),
    ("a row", third(np.ones(49, np.float32)), broken),
    ("a number", third(np.float32(3)), broken),
    ("empty", third(np.ones((0, 7), np.float32)), broken),
    ("complex", third(lambda v: v.astype(np.complex64)), broken),
    ("texts", third(np.array([["a", "b"]])), broken),
    ("objects", third(np.array([[None, 1]], dtype=object)), broken),
    ("dates", third(np.array([["2020-01-01"]], dtype="datetime64[D]")), broken),
    ("an empty file", third(b""), broken),
    ("a text file", third(b"hello"), broken),
    ("a file cut short", third(b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (7, 7), }"),
     broken),
    ("missing for one image", third(None), refused("cat/2", "lacks|missing|no map")),
    ("missing for all", lambda index, values: None, refused("maps")),
):  # fmt: skip
    maps.add(name, mine, outcome, make=having(saved(change)))
maps.add("no such folder", mine, refused("maps", "no such"), make=having())
maps.add("a file for a folder", command("--maps", "net.py"), refused("net.py"), make=having())
maps.add("the photographs' folder", command("--maps", "photos"), refused("photos", "npy"), make=having())
maps.add("an empty folder", mine, refused("maps", "npy|map"), make=having(lambda folder: (folder / "maps").mkdir()))
maps.add("two folders of one name", command("--maps", "maps", "--maps", "b/maps"), refused("maps", "rename|two"),
         make=having(saved(), saved(folder="b/maps")))  # fmt: skip
maps.add("the same folder twice", command("--maps", "maps", "--maps", "maps"), refused("maps"), make=having(saved()))
maps.add("two folders", command("--maps", "maps", "--maps", "mine"), fine(), make=having(saved(), saved(folder="mine")),
         check=has_row("maps:mine"))  # fmt: skip
maps.add("a folder with a slash at its end", command("--maps", "maps/"), fine(), make=having(saved()),
         check=has_row("maps:maps"))  # fmt: skip
maps.add("maps alone", command("--maps", "maps", "--methods", ""), fine(), make=having(saved()),
         check=has_row("maps:maps"))  # fmt: skip
maps.add("a folder that is this one", command("--maps", "maps/."), fine(), make=having(saved()))
maps.add("more maps than images", command("--maps", "maps", "--limit", "2"), fine(), make=having(saved()))
maps.add("a picture named .npy", mine, broken, make=having(saved(), lambda folder: (
    folder / "maps/cat/2.npy").write_bytes((folder / "photos/cat/2.png").read_bytes())))  # fmt: skip
maps.add("npz for npy", mine, refused("maps", "npy|map"), make=having(lambda folder: [
    (folder / "maps" / name).parent.mkdir(parents=True, exist_ok=True) or
    np.savez((folder / "maps" / name).with_suffix(".npz"), np.ones((7, 7))) for name in TWO]))  # fmt: skip
maps.add("a link to nothing", mine, refused("cat/2"), make=having(saved(third(None)), lambda folder: (
    folder / "maps/cat/2.npy").symlink_to("nowhere")))  # fmt: skip
maps.add("a folder for a map", mine, refused("cat/2"), make=having(saved(third(None)), lambda folder: (
    folder / "maps/cat/2.npy").mkdir()))  # fmt: skip
maps.add("a metric that explains again", command("--maps", "maps", "--metrics", "AD,MPRT1"),
         Outcome((0, FAILED, 2), ()), make=having(saved()))  # fmt: skip
maps.add("maps for a paper's table", ["--table", "opticam-classification", "--maps", "maps"],
         refused("--table", "--maps"), make=having(saved()))  # fmt: skip


def independent(folder: Path) -> None:
    """The maps that did not change keep their scores."""
    first, second = (stored(folder, out).query("method == 'maps:maps'").set_index("image") for out in ("one", "out"))
    for image in ("cat/0", "cat/1"):
        for column in ("AD", "I"):
            a, b = first.loc[image, column], second.loc[image, column]
            assert abs(a - b) < 1e-6, f"{column} of {image} is {b}, and {a} alone"


for name, change in (
    ("another shape", third(lambda v: np.kron(v, np.ones((2, 2), np.float32)))),
    ("the image's own size", third(lambda v: np.kron(v, np.ones((6, 6), np.float32))[:36, :40])),
    ("a map of one pixel", third(np.ones((1, 1), np.float32))),
    ("NaN", third(lambda v: v * np.nan)),
):
    second = command("--maps", "maps", "--methods", "gradient", "--metrics", "AD,I", "--batch-size")
    maps.add(f"{name} leaves its neighbours' scores alone", [*second, "3"], fine(), make=having(saved(change)),
             then=[Step((*second, "1", "--out", "one"), fine())], check=independent)  # fmt: skip
