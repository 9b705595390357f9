"""The page over published runs: every rank is that of its table, every link leads to a file."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from bench.core.errors import UsageError
from bench.report.published import main, published_page, read_run
from tests.places import ROOT

PUBLISHED = ROOT / "results" / "published"


def test_ranks_are_those_of_the_tables():
    file = PUBLISHED / "efficientnet_lite0-imagenet-clean" / "leaderboard.csv"
    run = read_run(file, PUBLISHED)
    table = pd.read_csv(file)
    first = table[table["rank"] == 1].iloc[0]
    assert run.ranks[first.method] == f"1 [{first.rank_low:.0f}, {first.rank_high:.0f}]"
    assert "fake-cam" not in run.ranks
    assert set(run.ranks.values()) >= {"–"} or table["rank"].notna().all()


def test_every_link_leads_to_a_file():
    text = published_page(PUBLISHED)
    links = [link for link in re.findall(r'href="([^"]+)"', text) if not link.startswith(("#", "data:"))]
    assert links
    assert [link for link in links if not (PUBLISHED / link).is_file()] == []
    assert len(set(re.findall(r'<section id="([^"]+)"', text))) == len(list(PUBLISHED.rglob("leaderboard.csv")))


def test_the_committed_page_is_todays():
    assert (PUBLISHED / "index.html").read_text() == published_page(PUBLISHED), "run: python -m bench.report.published"


def test_a_folder_without_runs_is_refused(tmp_path, capsys):
    with pytest.raises(UsageError, match="holds no leaderboard.csv"):
        published_page(tmp_path)
    assert main([str(tmp_path)]) == 2
    assert "error:" in capsys.readouterr().err
