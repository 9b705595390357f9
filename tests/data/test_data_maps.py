"""Maps computed elsewhere."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from bench.core.errors import UsageError
from bench.data.maps import PrecomputedMaps


def test_maps_of_any_size_by_id(tmp_path):
    (tmp_path / "cat").mkdir()
    values = np.array([[1, -2.5, np.nan], [0, np.inf, 3]], dtype=np.float64)
    np.save(tmp_path / "cat" / "a.npy", values)
    np.save(tmp_path / "b.npy", np.arange(6, dtype=np.uint8).reshape(3, 2))
    maps = PrecomputedMaps(tmp_path)
    assert maps.missing(["cat/a", "c", "b", "cat/d"]) == ["c", "cat/d"]
    assert maps.load("cat/a").dtype == torch.float32
    assert torch.equal(maps.load("cat/a").nan_to_num(7), torch.from_numpy(values).float().nan_to_num(7))
    assert maps.load("b").tolist() == [[0, 1], [2, 3], [4, 5]]
    assert maps.digest("b") == hashlib.sha256((tmp_path / "b.npy").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 3, 4)), r"not shape \(2, 3, 4\)"),
        (np.zeros(5), "not shape"),
        (np.zeros((0, 4)), "not shape"),
        (np.zeros((2, 2), dtype=complex), "real numbers"),
        (np.array([["a", "b"]]), "real numbers"),
        (np.array([[None, {}]], dtype=object), "not a .npy file of numbers"),
    ],
)
def test_wrong_arrays_name_the_file(tmp_path, values, message):
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(UsageError, match=message) as caught:
        PrecomputedMaps(tmp_path).load("a")
    assert "a.npy" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_unreadable(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        PrecomputedMaps(tmp_path / "none")
    maps = PrecomputedMaps(tmp_path)
    for ask in (maps.load, maps.digest):
        with pytest.raises(UsageError, match="no map for image a"):
            ask("a")
    for content in (b"", b"text", b"PK\x03\x04", b"\x93NUMPY\x01\x00"):
        (tmp_path / "a.npy").write_bytes(content)
        with pytest.raises(UsageError, match="a.npy"):
            maps.load("a")
