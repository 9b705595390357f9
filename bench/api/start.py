"""A run about to start: its request, and the engine that will carry it out."""

from __future__ import annotations

import dataclasses
from functools import partial

import torch

from bench.core.device import default_device, prepare_process
from bench.plugins import register
from bench.run.build_request import build_request, check_names
from bench.run.config import RunConfig
from bench.run.engine.registry import ENGINES
from bench.run.engine.unit import Engine
from bench.run.request import Request


def request_and_engine(config: RunConfig, command: str) -> tuple[Request, Engine]:
    """What a configuration asks for, and who computes it. Raises UsageError, for a cluster that does not answer before
    anything is loaded."""
    check_names(config)
    engine = ENGINES[config.engine].value(config.ray_address, partial(rebuild, config, command))
    return build_request(config, command), engine


def rebuild(config: RunConfig, command: str, batch: int) -> Request:
    """The same request in a worker's process, on the GPU that the worker has for itself; `batch` is what the run found
    where the configuration leaves it open."""
    prepare_process()
    register(config.plugin)
    device = torch.device(config.device or default_device()).type
    here = dataclasses.replace(config, engine="local", device=device, batch_size=batch)
    return build_request(here, command)
