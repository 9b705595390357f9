"""The pictures and the page of a results folder."""

from __future__ import annotations

from pathlib import Path

from bench.report.evidence import Evidence


def write_report(evidence: Evidence, folder: Path) -> None:
    """Write the figures and the page of a run into its folder."""
