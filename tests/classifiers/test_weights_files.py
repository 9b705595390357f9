"""Checkpoints as people have them: wrapped, prefixed, averaged, or no weights at all."""

from __future__ import annotations

import argparse
import gzip
import logging
import os
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import bench.run.build_request as build_request
from bench.classifiers.checkpoints import read_file
from bench.classifiers.weights import load_state, load_weights
from bench.core.errors import UsageError
from tests.toys import TOYS

State = dict[str, Tensor]


def other(seed: int = 5) -> State:
    return TOYS["gap_linear"](seed=seed).state_dict()


def prefixed(prefix: str, state: State) -> State:
    return {prefix + key: value for key, value in state.items()}


def inner(state: State) -> State:
    """Names as where a part of the net alone is wrapped, as in PyTorch's ImageNet example."""
    return {key.replace("features.", "features.module."): value for key, value in state.items()}


def loaded(path: Path) -> tuple[State, str]:
    net = TOYS["gap_linear"](seed=0)
    origin = load_weights(net, path, "toy")
    return net.state_dict(), origin


def same(found: State, expected: State) -> bool:
    return all(torch.equal(value, expected[key]) for key, value in found.items())


WHOLE: dict[str, Callable[[State], Any]] = {
    **{key: (lambda s, key=key: {"epoch": 3, "lr": 0.1, key: s, "optimizer": {"state": {0: {"step": torch.ones(1)}}}})
       for key in ("state_dict", "model", "model_state_dict", "net", "network", "weights")},
    "nested": lambda s: {"model": {"state_dict": prefixed("module.", s)}, "epoch": 1},
    "arguments beside": lambda s: {"state_dict": s, "args": argparse.Namespace(lr=1.0, out=Path("/tmp/x"))},
    "DataParallel": lambda s: prefixed("module.", s),
    "compiled": lambda s: prefixed("_orig_mod.", s),
    "both": lambda s: prefixed("module._orig_mod.", s),
    "the other way": lambda s: prefixed("_orig_mod.module.", s),
    "part in DataParallel": inner,
    "Lightning model": lambda s: {"state_dict": prefixed("model.", s), "hyper_parameters": {"lr": 0.1}},
    "Lightning net": lambda s: {"state_dict": prefixed("net.", s)},
    "Lightning compiled": lambda s: {"state_dict": prefixed("model._orig_mod.", s)},
    "any attribute": lambda s: {"state_dict": prefixed("wrapped.backbone.", s)},
    "profiled": lambda s: {**s, "total_ops": torch.zeros(1), "features.total_params": torch.zeros(1)},
    "numbers beside": lambda s: {**s, "epoch": 7},
    "AveragedModel": lambda s: {"n_averaged": torch.tensor(4), **prefixed("module.", s)},
    "strided": lambda s: {k: torch.stack([v, v], -1)[..., 0] if v.ndim else v for k, v in s.items()},
    "expanded": lambda s: {k: v[None].expand(3, *v.shape)[1] for k, v in s.items()},
    "float64": lambda s: {k: v.double() if v.is_floating_point() else v for k, v in s.items()},
}  # fmt: skip


@pytest.mark.parametrize("form", WHOLE)
def test_every_wrapping_is_undone_without_a_word(form, tmp_path, caplog):
    torch.save(WHOLE[form](other()), tmp_path / "w.pth")
    found, origin = loaded(tmp_path / "w.pth")
    assert same(found, other())
    assert re.fullmatch(r"w\.pth sha256:[0-9a-f]{64}", origin)
    assert not caplog.records


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_floats_are_cast(dtype, tmp_path):
    short = {key: value.to(dtype) for key, value in other().items()}
    torch.save({"model": short}, tmp_path / "w.pt")
    assert same(loaded(tmp_path / "w.pt")[0], {key: value.float() for key, value in short.items()})


AVERAGED: dict[str, tuple[Callable[[State, State], Any], str]] = {
    "timm": (lambda s, e: {"state_dict_ema": e, "state_dict": s},
             "weights of 'state_dict', not the moving average in 'state_dict_ema'"),
    "model and ema": (lambda s, e: {"ema": {"module": e}, "model": s},
                      "weights of 'model', not the moving average in 'ema'"),
    "model_ema": (lambda s, e: {"model_state_dict": s, "model_ema": e},
                  "weights of 'model_state_dict', not the moving average in 'model_ema'"),
    "ema_state_dict": (lambda s, e: {"ema_state_dict": prefixed("module.", e), "net": prefixed("module.", s)},
                       "weights of 'net', not the moving average in 'ema_state_dict'"),
    "prefixes": (lambda s, e: {"state_dict": {**prefixed("ema_model.module.", e), **prefixed("model.", s)}},
                 "weights under 'model.'; left out: ema_model.features.0.weight, ema_model.features.0.bias and 4 more"),
    "a loss": (lambda s, e: {"state_dict": {**prefixed("model.", s), "criterion.weight": torch.ones(7)}},
               "weights under 'model.'; left out: criterion.weight"),
}  # fmt: skip


@pytest.mark.parametrize("form", AVERAGED)
def test_beside_a_moving_average_the_plain_weights_are_taken_and_it_is_said(form, tmp_path, caplog):
    make, note = AVERAGED[form]
    torch.save(make(other(5), other(6)), tmp_path / "w.pth")
    with caplog.at_level(logging.WARNING):
        found, origin = loaded(tmp_path / "w.pth")
    assert same(found, other(5))
    assert caplog.messages == [f"w.pth: {note}"]
    assert origin.startswith(f"w.pth ({note}) sha256:")


def test_a_moving_average_alone_is_taken_and_it_is_said(tmp_path, caplog):
    torch.save({"model": "toy", "state_dict_ema": other(6)}, tmp_path / "w.pth")
    assert same(loaded(tmp_path / "w.pth")[0], other(6))
    assert caplog.messages == ["w.pth: the moving average in 'state_dict_ema'"]


def test_two_nets_that_would_fit_are_not_guessed_between(tmp_path):
    torch.save({**prefixed("first.", other(5)), **prefixed("second.", other(6))}, tmp_path / "w.pth")
    refused(tmp_path / "w.pth", r"holds several nets that would fit \(first\., second\.\); save one of them alone")


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.b.weight = self.a.weight


def test_a_tensor_that_the_net_holds_twice_may_be_given_once():
    net, state = Tied(), Tied().state_dict()
    del state["b.weight"]
    load_state(net, state, source="w", name="tied")
    assert torch.equal(net.b.weight, state["a.weight"])
    assert net.b.weight is net.a.weight


def test_a_net_in_dataparallel_takes_plain_names():
    net = nn.DataParallel(TOYS["gap_linear"](seed=0))
    load_state(net, other(), source="w", name="toy")
    assert same(net.module.state_dict(), other())


def test_what_a_file_holds_counts_not_its_name(tmp_path):
    save_file(other(), tmp_path / "w.pth")
    torch.save(other(), tmp_path / "w.safetensors")
    for name in ("w.pth", "w.safetensors"):
        assert same(loaded(tmp_path / name)[0], other())


def refused(path: Path, match: str) -> None:
    with pytest.raises(UsageError, match=match) as caught:
        loaded(path)
    message = str(caught.value)
    assert message.isprintable(), "one line, without terminal codes"
    assert len(message) < 400 + 2 * len(str(path))


def broken(name: str, value: Callable[[Tensor], Tensor]) -> State:
    return {key: value(tensor) if key == name else tensor for key, tensor in other().items()}


def write_zip(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")


def write_tar(path: Path, mode: str) -> None:
    (path.parent / "inside.pth").write_bytes(b"x")
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        archive.add(path.parent / "inside.pth", "inside.pth")


def cut(path: Path, write: Callable[[Path], None]) -> None:
    write(path)
    path.write_bytes(path.read_bytes()[:-200])


class Odd:
    """What a checkpoint may not hold."""


OTHERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "LFS pointer": (lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
                    "is a Git LFS pointer, not the weights themselves; fetch them with: git lfs pull"),
    "web page": (lambda p: p.write_text("\n<!DOCTYPE html><html>Sign in</html>"), "is a web page, not weights"),
    "XML error": (lambda p: p.write_text('<?xml version="1.0"?><Error>AccessDenied</Error>'), "is a web page"),
    "text": (lambda p: p.write_text('{"error": "not found"}'), "is text, not weights"),
    "empty": (lambda p: p.write_bytes(b""), "is empty; fetch it again"),
    "folder": (lambda p: (p.mkdir(), (p / "a.pth").touch()), "is a folder; name the file of weights in it, as .*a.pth"),
    "fifo": (lambda p: os.mkfifo(p), "is not a regular file"),
    "zip": (lambda p: write_zip(p, "readme.txt", "best.pth"),
            "is a zip archive; unpack it and name the file of weights inside, best.pth"),
    "cut zip": (lambda p: cut(p, lambda p: torch.save(other(), p)), "is cut short or damaged; fetch it again"),
    "cut safetensors": (lambda p: cut(p, lambda p: save_file(other(), p)), "it is damaged, cut short or of"),
    "npz": (lambda p: np.savez(p.open("wb"), a=np.ones(3)), "is a NumPy archive"),
    "npy": (lambda p: np.save(p.open("wb"), np.ones(3)), "is a NumPy array"),
    "gzip": (lambda p: p.write_bytes(gzip.compress(b"x" * 100)), "is a gzip archive"),
    "tar.gz": (lambda p: write_tar(p, "w:gz"), "is a gzip archive"),
    "tar": (lambda p: write_tar(p, "w"), "is a tar archive"),
    "onnx": (lambda p: p.write_bytes(b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:\x00" + b"\0" * 99), "looks like an ONNX"),
    "hdf5": (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 99), "is an HDF5 file"),
    "image": (lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 99), "is an image"),
    "TorchScript": (lambda p: torch.jit.script(nn.Linear(2, 2)).save(str(p)), "is a TorchScript program"),
    "pickled net": (lambda p: torch.save(TOYS["gap_linear"](), p), "a pickle of tests.toys.*, which may run code"),
    "pickled thing": (lambda p: torch.save({"state_dict": other(), "odd": Odd()}, p), "a pickle of .*Odd, which may"),
    "NumPy values": (lambda p: torch.save({"a": np.ones(3)}, p), "holds no weights that can be read safely: a pickle"),
    "nothing inside": (lambda p: torch.save({"epoch": 3, "loss": 0.1}, p),
                       "holds a dict of epoch, loss, in which there is no state_dict; save net.state_dict"),
    "optimiser": (lambda p: torch.save({"optimizer": {"state": {0: {"a": torch.ones(1)}}}}, p),
                  "there is no state_dict"),
    "a tensor": (lambda p: torch.save(torch.ones(3), p), "holds a Tensor that is not a state_dict"),
    "an empty one": (lambda p: torch.save({}, p), "holds a dict that is not a state_dict"),
    "of another architecture": (lambda p: torch.save(TOYS["tokens"]().state_dict(), p), "does not fit toy: "),
    "nothing alike": (lambda p: torch.save(prefixed("x", other()), p),
                      r"does not fit toy: it is of another architecture: 6 missing \(.*\) 6 unexpected \(.*\)$"),
    "int8": (lambda p: torch.save(broken("fc.weight", lambda v: v.to(torch.int8)), p),
             "fc.weight is int8, the net's is float32; save the weights before quantisation"),
    "quantised": (lambda p: torch.save(broken("fc.weight", lambda v: torch.quantize_per_tensor(v, 0.1, 0, torch.qint8)),
                                       p), "fc.weight is qint8, the net's is float32"),
    "complex": (lambda p: torch.save(broken("fc.weight", lambda v: v.to(torch.complex64)), p), "is complex64"),
    "diverged": (lambda p: torch.save(broken("fc.bias", lambda v: v * torch.nan), p), "fc.bias holds NaN"),
    "meta": (lambda p: torch.save(broken("fc.bias", lambda v: v.to("meta")), p), "fc.bias has no numbers"),
    "other classes, prefixed": (lambda p: torch.save({"state_dict": prefixed("model.", {
        **other(), "fc.weight": torch.zeros(10, 8), "fc.bias": torch.zeros(10)})}, p),
        "has 10 classes and the net 7"),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_any_other_file_is_one_line_that_says_what_it_is(kind, name, tmp_path):
    write, message = OTHERS[kind]
    write(tmp_path / name)
    refused(tmp_path / name, message)


def test_a_checkpoint_that_contains_itself_ends(tmp_path):
    loop: dict[str, Any] = {"epoch": 3}
    loop["model"] = loop
    torch.save(loop, tmp_path / "w.pth")
    refused(tmp_path / "w.pth", "there is no state_dict")


def test_torchs_terminal_codes_do_not_reach_the_user(tmp_path, monkeypatch):
    (tmp_path / "w.pth").write_bytes(b"\x80\x02\xff")
    monkeypatch.setattr(torch, "load", lambda *a, **k: (_ for _ in ()).throw(RuntimeError("\x1b[1mbad\x1b[0m\nmore")))
    refused(tmp_path / "w.pth", r"\(bad\)")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("w.pth", ("", "w.pth")),
        ("a=b.pth", ("", "a=b.pth")),
        ("resnet18=w.pth", ("resnet18", "w.pth")),
        ("resnet18=y=z.pth", ("resnet18", "y=z.pth")),
        ("a=b.py:net=w.pth", ("a=b.py:net", "w.pth")),
        ("resnet18=absent=1.pth", ("resnet18", "absent=1.pth")),
        ("absent.pth", ("", "absent.pth")),
        ("resnet18=" + "x" * 5000, ("resnet18", "x" * 5000)),
    ],
)
def test_in_a_path_with_an_equals_sign_the_file_that_exists_wins(text, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("w.pth", "a=b.pth", "y=z.pth"):
        (tmp_path / name).touch()
    assert build_request.split_weights(text) == (expected[0], Path(expected[1]))


def test_a_home_folder_behind_the_models_name_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "w.pth").touch()
    assert build_request.split_weights("resnet18=~/w.pth") == ("resnet18", tmp_path / "w.pth")


def test_both_models_get_their_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.pth").touch()
    given = ["a=b.pth", "judge=c=d.pth"]
    assert build_request.weights_for("net", given) == Path("a=b.pth")
    assert build_request.weights_for("judge", given) == Path("c=d.pth")


def test_reading_keeps_what_is_there(tmp_path):
    save_file({"a": torch.arange(3.0)}, tmp_path / "a.safetensors")
    assert torch.equal(read_file(tmp_path / "a.safetensors").tensors["a"], torch.arange(3.0))
