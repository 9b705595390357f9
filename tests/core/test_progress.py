"""Progress where nobody watches: plain lines, none for what is quick, no carriage return."""

from __future__ import annotations

import io
import time

from bench.core import progress as module


def test_lines_without_carriage_returns(monkeypatch):
    monkeypatch.setattr(module, "EVERY", 0.05)
    log = io.StringIO()
    bar = module.PlainProgress(total=4, desc="maps", unit="map", file=log)
    for _ in range(4):
        time.sleep(0.08)
        bar.set_description("cam")
        bar.update()
    bar.close()
    text = log.getvalue()
    assert "\r" not in text
    lines = text.splitlines()
    assert 1 <= len(lines) <= 4
    assert lines[-1].startswith("cam: ")
    assert " of 4 maps" in lines[-1]


def test_nothing_for_what_is_quick():
    log = io.StringIO()
    for _ in module.PlainProgress(range(100), desc="images", file=log):
        pass
    assert log.getvalue() == ""


def test_a_terminal_has_a_bar(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert type(module.progress(range(1), disable=True)) is not module.PlainProgress
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    assert type(module.progress(range(1), disable=True)) is module.PlainProgress
