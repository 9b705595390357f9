"""Hooks of MkDocs: fills the pages' made parts, and takes the published results into the site."""

from __future__ import annotations

from typing import Any

import cards
from mkdocs.structure.files import File, Files

PUBLISHED = cards.ROOT / "results" / "published"
SUFFIXES = {".md", ".png", ".jpg", ".csv", ".tex"}
PAGES = {"README.md", "decoder_study.md", "explainers.md", "trained_networks.md", "transfer.md"}
"""Pages in the navigation; other Markdown is a table to download."""


def on_files(files: Files, config: Any) -> Files:
    """The published results, below published/."""
    for path in sorted(PUBLISHED.rglob("*")):
        place = path.relative_to(PUBLISHED)
        if path.suffix in SUFFIXES and (path.suffix != ".md" or place.as_posix() in PAGES):
            files.append(File.generated(config, f"published/{place}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """The published results lie beside docs/ in the project, and in it in the site."""
    return cards.fill(markdown).replace("](../results/published/", "](published/")
