"""Small inputs: photographs of some hundred bytes, networks as text, and the command that all cases start from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

SIDE = 32

NET = '''
import torch
from torch import nn


def body(channels=3, width=8):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, width, 5, 2, 2), nn.ReLU(), nn.Conv2d(width, width, 3, 2, 1), nn.ReLU())


class Net(nn.Module):
    """Two classes, 32 x 32 pixels."""

    def __init__(self, classes=2, channels=3):
        super().__init__()
        self.f, self.fc = body(channels), nn.Linear(8, classes)
        with torch.no_grad():
            self.fc.weight.mul_(8)
        self.input_size = 32

    def forward(self, x):
        return self.fc(self.f(x).mean((2, 3)))


def build():
    return Net()
'''


def picture(seed: int = 0, width: int = 40, height: int = 36) -> Image.Image:
    """Smooth random colours."""
    noise = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def photos(root: Path, names: Iterable[str], start: int = 0) -> None:
    """Pictures at these paths below the root, all different."""
    for seed, name in enumerate(names, start):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        picture(seed).save(file)


TWO = [f"{kind}/{number}.png" for kind in ("cat", "dog") for number in range(3)]
"""The usual folder: two classes of three pictures."""


def usual(folder: Path, *, net: str = "", names: Sequence[str] = TWO) -> None:
    """`net.py` and `photos/`, as most cases have them; `net` is appended to the file."""
    write(folder / "net.py", NET + net)
    photos(folder / "photos", names)


def write(file: Path, text: str | bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())


def having(*actions: Callable[[Path], object], net: str = "", names: Sequence[str] = TWO) -> Callable[[Path], None]:
    """The usual folder, and then some."""

    def make(folder: Path) -> None:
        usual(folder, net=net, names=names)
        for action in actions:
            action(folder)

    return make


def text(name: str, content: str | bytes) -> Callable[[Path], None]:
    """An action that writes a file."""
    return lambda folder: write(folder / name, content)


DEFAULTS: Mapping[str, str] = {
    "--model": "net.py:build", "--data": "folder", "--data-root": "photos", "--methods": "gradient",
    "--metrics": "AD", "--protocol": "clean+steps=2", "--batch-size": "4", "--device": "cpu", "--out": "out",
}  # fmt: skip


def command(*more: str, without: Sequence[str] = (), controls: bool = False) -> list[str]:
    """The usual command, without some of its flags, and with more; a flag given again replaces the usual one."""
    kept = [word for flag, value in DEFAULTS.items() if flag not in without for word in (flag, value)]
    return [*kept, *([] if controls else ["--no-controls"]), *more]


def table(folder: Path, out: str = "out") -> pd.DataFrame:
    return pd.read_csv(folder / out / "leaderboard.csv").set_index("method")


def stored(folder: Path, out: str = "out") -> pd.DataFrame:
    """All stored rows."""
    return pd.concat([pd.read_parquet(file) for file in sorted((folder / out / "scores").glob("*.parquet"))])


def has_row(method: str, status: str = "ok", out: str = "out") -> Callable[[Path], None]:
    """A check that the table has a method with this status."""

    def check(folder: Path) -> None:
        frame = table(folder, out)
        assert method in frame.index, f"no row {method!r} among {list(frame.index)}"
        found = frame.loc[method, "status"]
        assert found == status, f"{method} is {found}, not {status}"

    return check


def has_value(method: str, column: str, value: float, tolerance: float, out: str = "out") -> Callable[[Path], None]:
    """A check that a cell of the table has this value."""

    def check(folder: Path) -> None:
        found = float(table(folder, out).loc[method, column])
        assert abs(found - value) <= tolerance, f"{column} of {method} is {found:.4f}, not {value} ± {tolerance}"

    return check


def all_of(*checks: Callable[[Path], object]) -> Callable[[Path], None]:
    def check(folder: Path) -> None:
        for each in checks:
            each(folder)

    return check


def images(count: int, out: str = "out") -> Callable[[Path], None]:
    """A check that so many images were used."""

    def check(folder: Path) -> None:
        found = len(pd.read_csv(folder / out / "images.csv"))
        assert found == count, f"{found} images were used, not {count}"

    return check
