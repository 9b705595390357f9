"""Weights: what fits is loaded exactly, what does not is refused in one line."""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path

import pytest
import torch
import torchvision.models as models
from safetensors.torch import save_file
from torch import nn

from bench.classifiers.load import load_classifier
from bench.classifiers.weights import load_by_order, load_state, load_weights, read_state
from bench.core.errors import UsageError
from tests.toys import TOYS


def other() -> dict[str, torch.Tensor]:
    return TOYS["gap_linear"](seed=5).state_dict()


def loaded(path: Path) -> nn.Module:
    net = TOYS["gap_linear"](seed=0)
    load_weights(net, path, "toy")
    return net


@pytest.mark.parametrize("form", ["pth", "safetensors", "checkpoint", "parallel"])
def test_every_form_of_file_loads_exactly(tmp_path: Path, form: str) -> None:
    state = other()
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "safetensors":
        save_file(state, path)
    elif form == "checkpoint":
        torch.save({"epoch": 3, "state_dict": state}, path)
    else:
        torch.save({("module." if form == "parallel" else "") + key: value for key, value in state.items()}, path)
    assert all(torch.equal(value, state[key]) for key, value in loaded(path).state_dict().items())


def test_float16_files_become_float32_nets(tmp_path: Path) -> None:
    halves = {key: value.half() for key, value in other().items()}
    save_file(halves, tmp_path / "w.safetensors")
    for key, value in loaded(tmp_path / "w.safetensors").state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, halves[key].float())


def test_the_origin_names_the_file_and_its_sha256(tmp_path: Path) -> None:
    save_file(other(), tmp_path / "mine.safetensors")
    origin = load_weights(TOYS["gap_linear"](), tmp_path / "mine.safetensors", "toy")
    name, _, digest = origin.partition(" sha256:")
    assert name == "mine.safetensors"
    assert len(digest) == 64


def refused(path: Path, match: str) -> None:
    with pytest.raises(UsageError, match=match) as caught:
        loaded(path)
    assert "\n" not in str(caught.value)


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    refused(tmp_path / "absent.pth", "no such weights file")

    state = other()
    del state["fc.weight"]
    state["head.weight"] = torch.zeros(3)
    torch.save(state, path)
    refused(path, r"w.pth does not fit toy: 1 missing \(fc.weight\) 1 unexpected \(head.weight\)")

    torch.save({**other(), "fc.weight": torch.zeros(10, 8), "fc.bias": torch.zeros(10)}, path)
    refused(path, r"has 10 classes and the net 7; .*FILE.py:NAME")

    torch.save({**other(), "features.0.weight": torch.zeros(8, 3, 5, 5)}, path)
    refused(path, r"features.0.weight has shape \(8, 3, 5, 5\), not \(8, 3, 3, 3\)")


def test_pickles_and_garbage_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(TOYS["gap_linear"](), path)
    refused(path, "cannot be read safely|can be read safely")
    path.write_bytes(b"nonsense\0\xff")
    refused(path, "can be read safely")
    torch.save([1, 2], path)
    refused(path, "holds a list that is not a state_dict")
    (tmp_path / "w.safetensors").write_bytes(b"nonsense{\xff")
    refused(tmp_path / "w.safetensors", "can be read safely")


def test_old_densenet_names_are_understood() -> None:
    net = models.densenet121(weights=None)
    state = net.state_dict()
    old = {key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): value + 1 for key, value in state.items()}
    assert any("denselayer1.norm.1." in key for key in old)
    expected = {key: value + 1 for key, value in state.items()}
    load_state(net, old, source="old.pth", name="densenet121")
    assert all(torch.equal(value, expected[key]) for key, value in net.state_dict().items())


def test_loading_by_order_checks_every_shape() -> None:
    net = TOYS["gap_linear"](seed=0)
    renamed = {f"x{i}": value for i, value in enumerate(other().values())}
    load_by_order(net, renamed, source="file", name="toy")
    assert all(torch.equal(value, other()[key]) for key, value in net.state_dict().items())
    for wrong in (dict(reversed(renamed.items())), {**renamed, "more": torch.zeros(2)}):
        with pytest.raises(UsageError, match="shapes differ"):
            load_by_order(net, wrong, source="file", name="toy")


def test_read_state_keeps_the_bytes(tmp_path: Path) -> None:
    save_file({"a": torch.arange(3.0)}, tmp_path / "a.safetensors")
    assert torch.equal(read_state(tmp_path / "a.safetensors")["a"], torch.arange(3.0))


@pytest.mark.parametrize("text", ["resnet18", "timm:resnet18"])
def test_without_network_one_line_names_the_ways_out(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*args: object, **kwargs: object) -> None:
        raise TimeoutError("no network in this test")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *args: None)
    start = time.perf_counter()
    with pytest.raises(UsageError, match=rf"--weights {text}=FILE.*efficientnet_lite0") as caught:
        load_classifier(text)
    assert "\n" not in str(caught.value)
    assert time.perf_counter() - start < 20


def test_torch_hubs_copy_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = models.SqueezeNet1_1_Weights.IMAGENET1K_V1
    (tmp_path / "checkpoints").mkdir()
    net = models.squeezenet1_1(weights=None)
    torch.save(net.state_dict(), tmp_path / "checkpoints" / Path(weights.url).name)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", lambda *args, **kwargs: pytest.fail("asked the network"))
    found = load_classifier("squeezenet1_1")
    assert torch.equal(found._net.features[0].weight, net.features[0].weight)
    assert "IMAGENET1K_V1" in found.origin
