"""The pictures and the page of a results folder."""

from __future__ import annotations

from pathlib import Path

from bench.report.evidence import Evidence


def write_report(evidence: Evidence, folder: Path) -> None:
    """Write the figures and the page of a run into its folder."""
    import bench.report.figures  # noqa: F401  registers them
    from bench.core.files import write_text
    from bench.report.figure import FIGURES, save
    from bench.report.page.render import page

    for entry in FIGURES:
        drawn = entry.value(evidence)
        if drawn is not None:
            save(drawn, folder / "figures", entry.name)
    write_text(folder / "index.html", page(evidence))
