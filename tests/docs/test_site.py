"""The site is built strictly: every link, anchor, reference and made part of a page leads somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from bench.core.explainer import EXPLAINERS
from bench.core.metric import METRICS
from bench.plugins import register
from tests.places import ROOT

pytest.importorskip("material", reason="mkdocs-material is not installed: uv sync --group docs")

pytestmark = pytest.mark.slow
register()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True,
                           env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder


def test_every_method_and_metric_has_a_card(site):
    for page, registry in (("methods", EXPLAINERS), ("metrics", METRICS)):
        html = (site / f"{page}.html").read_text()
        for entry in registry:
            assert f'id="{entry.name.lower()}"' in html, entry.name


def test_no_page_fetches_anything(site):
    """Scripts, styles, fonts and pictures are files of the site: it can be read offline."""
    fetched = re.compile(r'<(?:script|img|link|iframe|source)\b[^>]*?\b(?:src|href)="(https?:)?//', re.DOTALL)
    for page in site.rglob("*.html"):
        assert not fetched.search(page.read_text()), page.name


def test_no_part_is_left_to_be_made(site):
    for page in site.rglob("*.html"):
        assert "made:" not in page.read_text(), page.name


def test_the_notebook_was_executed(site):
    """Its outputs are pictures and tables that the build has computed."""
    html = (site / "notebook.html").read_text()
    assert html.count("data:image/png;base64,") >= 3
    assert "box-oracle" in html
    assert "Traceback" not in html
