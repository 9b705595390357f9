"""A sample of the campaign of bad and unusual inputs; `python -m tests.campaign` runs all of it."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

from tests.campaign.__main__ import sample
from tests.campaign.groups import CASES
from tests.places import ROOT

SAMPLE = 40


def test_the_campaign_has_many_distinct_cases():
    assert len(CASES) >= 450
    assert max(Counter(case.title for case in CASES).values()) == 1


def test_a_sample_of_every_group_comes_out_as_expected():
    groups = {case.group for case in CASES}
    assert {case.group for case in sample(CASES, SAMPLE)} == groups
    command = [sys.executable, "-m", "tests.campaign", "--sample", str(SAMPLE)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
