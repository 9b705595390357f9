"""Seeds and the global generators."""

from __future__ import annotations

import torch

from bench.core import seeds
from bench.core.seeds import forked_rng


def test_a_forked_generator_is_left_as_it_was():
    before = torch.get_rng_state()
    with forked_rng(3):
        first = torch.rand(2)
    with forked_rng(3):
        assert torch.equal(torch.rand(2), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loaders_worker_leaves_the_gpu_alone(monkeypatch):
    """In a forked process any question about the GPU's generator is an error."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(seeds, "get_worker_info", lambda: object())
    with forked_rng(3):
        assert len(torch.rand(2)) == 2
