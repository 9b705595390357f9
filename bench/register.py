"""Fills the registries, by which alone the harness knows methods and metrics."""

from __future__ import annotations

import importlib


def register() -> None:
    importlib.import_module("cambench")
