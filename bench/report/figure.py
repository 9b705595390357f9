"""Figures of a run: each a function from evidence to a matplotlib figure, registered under its file's name."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from matplotlib.figure import Figure

from bench.core.files import write_atomic
from bench.core.registry import Registry
from bench.report.evidence import Evidence
from bench.report.style import DPI

Draw = Callable[[Evidence], Figure | None]
"""None where the run has nothing for the figure to show."""

FIGURES: Registry[Draw] = Registry("figure")

F = TypeVar("F", bound=Draw)


def figure(name: str) -> Callable[[F], F]:
    """Register a function that draws `figures/NAME.png` and `.pdf` of a run. Returns the function unchanged."""

    def register(draw: F) -> F:
        FIGURES.add(name, draw)
        return draw

    return register


METADATA = {"png": {"Software": None}, "pdf": {"Creator": None, "Producer": None, "CreationDate": None}}
"""Neither time nor version: the same figure gives the same bytes."""


def as_bytes(drawn: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    drawn.savefig(buffer, format=kind, dpi=DPI, metadata=METADATA[kind])
    return buffer.getvalue()


def save(drawn: Figure, folder: Path, name: str) -> None:
    """Write a figure as NAME.png (300 dpi) and NAME.pdf into a folder, all or nothing each."""
    for kind in METADATA:
        write_atomic(folder / f"{name}.{kind}", partial(write, as_bytes(drawn, kind)))


def write(content: bytes, path: Path) -> None:
    path.write_bytes(content)
