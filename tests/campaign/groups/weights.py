"""Weights files of every origin, whole, damaged, and of another net."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.campaign.case import Group, Outcome, Step, fine, refused
from tests.campaign.inputs import command, having, table, text

weights = Group("weights files")
GROUPS = [weights]

BUILDERS = """

def shifted():
    net = Net()
    with torch.no_grad():
        net.fc.bias += torch.tensor([1.0, -1.0])
    return net


def other():
    return Net(5)
"""


def saved(name: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """An action that saves what `change` makes of the state of the net `shifted`."""

    def save(folder: Path) -> None:
        import torch
        from safetensors.torch import save_file

        scope: dict[str, Any] = {"__name__": "net"}
        exec((folder / "net.py").read_text(), scope)
        value = change(scope["shifted"]().state_dict())
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".safetensors":
            save_file(value, file)
        else:
            torch.save(value, file)

    return save


def prefixed(prefix: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda state: {prefix + key: value for key, value in state.items()}


def same_as_shifted(folder: Path) -> None:
    found, expected = (float(table(folder, out).loc["gradient", "AD"]) for out in ("out", "own"))
    assert abs(found - expected) < 1e-3, f"AD {found}, and {expected} of the net whose weights these are"


own = Step(tuple(command("--model", "net.py:shifted", "--out", "own")), fine())
GOOD: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {
    "a plain state": ("w.pth", lambda state: state),
    "a state with another ending": ("w.bin", lambda state: state),
    "safetensors": ("w.safetensors", lambda state: state),
    "state_dict": ("w.pth", lambda state: {"state_dict": state, "epoch": 3}),
    "model": ("w.pth", lambda state: {"model": state}),
    "model_state_dict": ("w.pth", lambda state: {"epoch": 1, "model_state_dict": state, "loss": 0.5}),
    "net": ("w.pth", lambda state: {"net": state, "acc": 91.2}),
    "model inside state_dict": ("w.pth", lambda state: {"state_dict": {"model": state}}),
    "DataParallel": ("w.pth", prefixed("module.")),
    "torch.compile": ("w.pth", prefixed("_orig_mod.")),
    "compiled DataParallel": ("w.pth", prefixed("module._orig_mod.")),
    "Lightning": ("w.ckpt", lambda state: {"state_dict": prefixed("model.")(state), "pytorch-lightning_version": "2"}),
    "Lightning's net": ("w.ckpt", lambda state: {"state_dict": prefixed("net.")(state)}),
    "double precision": ("w.pth", lambda state: {key: value.double() for key, value in state.items()}),
    "compiled in safetensors": ("w.safetensors", prefixed("_orig_mod.")),
    "a path with an equals sign": ("lr=0.1/w.pth", lambda state: state),
    "a path with a space": ("my weights/w.pth", lambda state: state),
}
for name, (file, change) in GOOD.items():
    weights.add(name, command("--weights", file), fine(), make=having(saved(file, change), net=BUILDERS), then=[own],
                check=same_as_shifted)  # fmt: skip
weights.add(
    "EMA beside plain weights says which", command("--weights", "w.pth"), fine("ema"),
    make=having(saved("w.pth", lambda state: {
        "state_dict": state, "state_dict_ema": {key: value * 0.5 for key, value in state.items()}}), net=BUILDERS),
)  # fmt: skip
weights.add(
    "named with the model", command("--weights", "net.py:build=w.pth"), fine(),
    make=having(saved("w.pth", lambda state: state), net=BUILDERS), then=[own], check=same_as_shifted,
)  # fmt: skip
weights.add(
    "home by a tilde", command("--weights", "~/w.pth"), fine(), environment={"HOME": "."},
    make=having(saved("w.pth", lambda state: state), net=BUILDERS), then=[own], check=same_as_shifted,
)  # fmt: skip


class Evil:
    """What a pickle may do when it is read."""

    def __reduce__(self):
        return exec, ("open('evil', 'w').close()",)


def drop(key: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda state: {name: value for name, value in state.items() if name != key}


for name, file, change, outcome in (
    ("a parameter is missing", "w.pth", drop("fc.bias"), refused("w.pth", "fc.bias", "missing")),
    ("a parameter too many", "w.pth", lambda s: s | {"extra.weight": s["fc.bias"]}, refused("extra.weight")),
    ("another shape", "w.pth", lambda s: s | {"f.0.weight": s["f.0.weight"][:, :1]}, refused("f.0.weight", "shape")),
    ("other classes", "w.pth", lambda s: s | {"fc.weight": s["fc.weight"].repeat(3, 1), "fc.bias":
     s["fc.bias"].repeat(3)}, refused("6", "2", "classes")),
    ("another net's names", "w.pth", lambda s: {"x" + k: v for k, v in s.items()}, refused("missing|does not fit")),
    ("an empty dictionary", "w.pth", lambda s: {}, refused("w.pth", "state_dict|no weights|empty")),
    ("a list", "w.pth", lambda s: list(s.values()), refused("w.pth", "list|state_dict")),
    ("a tensor", "w.pth", lambda s: s["fc.weight"], refused("w.pth", "Tensor|state_dict")),
    ("numbers for tensors", "w.pth", lambda s: dict.fromkeys(s, 1.0), refused("w.pth", "state_dict|tensor")),
    ("only an optimiser", "w.pth", lambda s: {"optimizer": {"state": {}}}, refused("w.pth", "state_dict")),
    ("NaN inside", "w.pth", lambda s: s | {"fc.bias": s["fc.bias"] * float("nan")}, refused("finite|NaN")),
    ("whole numbers", "w.pth", lambda s: {k: v.long() for k, v in s.items()}, Outcome((0, 2))),
    ("two prefixes at once", "w.pth", lambda s: {("module." if i % 2 else "model.") + k: v for i, (k, v) in
     enumerate(s.items())}, Outcome((0, 2))),
    ("a pickle that runs code", "w.pth", lambda s: {"state_dict": s, "hook": Evil()}, refused("w.pth", "safely|pickle")),  # noqa: E501
    ("a scalar for a parameter", "w.safetensors", lambda s: s | {"fc.bias": s["fc.bias"].sum()}, refused("fc.bias")),
):  # fmt: skip
    weights.add(name, command("--weights", file), outcome, make=having(saved(file, change), net=BUILDERS),
                check=lambda folder: no_file(folder / "evil"))  # fmt: skip


def no_file(file: Path) -> None:
    assert not file.exists(), "the pickle's code was run"


def whole_net(folder: Path) -> None:
    (folder / "w.pth").write_bytes(pickle.dumps(Evil()))


def cut(name: str, size: int) -> Callable[[Path], None]:
    def shorten(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:size])

    return shorten


for name, file, actions, outcome in (
    ("missing", "w.pth", (), refused("w.pth", "no such")),
    ("a folder", "photos", (), refused("photos")),
    ("empty", "w.pth", (text("w.pth", ""),), refused("w.pth")),
    ("empty safetensors", "w.safetensors", (text("w.safetensors", ""),), refused("w.safetensors")),
    ("a web page", "w.pth", (text("w.pth", "<!DOCTYPE html><html>404</html>"),), refused("w.pth")),
    ("a pointer of Git LFS", "w.safetensors", (text("w.safetensors",
     "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n"),), refused("w.safetensors")),
    ("a bare pickle", "w.pth", (whole_net,), refused("w.pth")),
    ("cut short", "w.pth", (saved("w.pth", lambda s: s), cut("w.pth", 2000)), refused("w.pth")),
    ("safetensors cut short", "w.safetensors", (saved("w.safetensors", lambda s: s), cut("w.safetensors", 900)),
     refused("w.safetensors")),
    ("safetensors named .pth", "w.pth", (saved("w.safetensors", lambda s: s),
     lambda folder: (folder / "w.safetensors").rename(folder / "w.pth")), Outcome((0, 2), ())),
    ("a pth named .safetensors", "w.safetensors", (saved("w.pth", lambda s: s),
     lambda folder: (folder / "w.pth").rename(folder / "w.safetensors")), Outcome((0, 2), ())),
    ("a link to itself", "w.pth", (saved("w.pth", lambda s: s), lambda folder: (folder / "w.pth").unlink(),
     lambda folder: (folder / "w.pth").symlink_to("w.pth")), refused("w.pth")),
    ("a link to nothing", "w.pth", (lambda folder: (folder / "w.pth").symlink_to("nowhere"),), refused("w.pth")),
    ("a name beyond all lengths", "w" * 300 + ".pth", (), refused("www")),
    ("TorchScript", "w.pt", (lambda folder: script(folder / "w.pt"),), refused("w.pt")),
    ("an archive of something else", "w.pth", (lambda folder: archive(folder / "w.pth"),), refused("w.pth")),
):  # fmt: skip
    weights.add(name, command("--weights", file), outcome, make=having(*actions, net=BUILDERS))


def script(file: Path) -> None:
    import torch

    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), file)


def archive(file: Path) -> None:
    import zipfile

    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr("hello.txt", "hello")
