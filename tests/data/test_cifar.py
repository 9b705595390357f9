"""CIFAR in torchvision's files, of which a few images stand for all."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import CIFAR10

from bench.core.dataset import load_dataset
from bench.core.errors import UsageError

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Twenty test images, two a class, whose digests torchvision is told."""
    monkeypatch.setenv("CAMBENCH_CACHE", str(tmp_path / "cache"))
    base = tmp_path / "data" / "cifar-10-batches-py"
    base.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 3072), dtype=np.uint8)
    contents = {
        "test_batch": {"data": pixels, "labels": [i % 10 for i in range(20)]},
        "batches.meta": {"label_names": NAMES},
    }
    digests = {}
    for name, content in contents.items():
        (base / name).write_bytes(pickle.dumps(content))
        digests[name] = hashlib.md5((base / name).read_bytes()).hexdigest()
    monkeypatch.setattr(CIFAR10, "train_list", [])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", digests["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": digests["batches.meta"]})
    return tmp_path / "data", pixels


def test_images_and_labels_are_torchvisions(root):
    folder, pixels = root
    found = load_dataset("cifar10", folder)
    assert found.classes == tuple(NAMES)
    assert found.protocol == "cifar-2024"
    assert len(found.samples) == 20
    for sample in found.samples:
        index = int(sample.path.stem)
        assert sample.label == index % 10
        assert np.array_equal(np.asarray(Image.open(sample.path)).transpose(2, 0, 1).ravel(), pixels[index])
    assert [s.id for s in load_dataset("cifar10", folder).samples] == [s.id for s in found.samples]


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"cifar-10-batches-py is missing or damaged; .*CIFAR10\(.*download=True"):
        load_dataset("cifar10(split=train)", tmp_path)
