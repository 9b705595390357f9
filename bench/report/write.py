"""The pictures and the page of a results folder."""

from __future__ import annotations

from pathlib import Path

from bench.report.evidence import Evidence


def write_report(evidence: Evidence, folder: Path) -> None:
    """Write the figures and the page of a run into its folder."""
    import bench.report.figures  # noqa: F401  registers them
    from bench.report.figure import FIGURES, save

    for entry in FIGURES:
        drawn = entry.value(evidence)
        if drawn is not None:
            save(drawn, folder / "figures", entry.name)
