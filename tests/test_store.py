"""Atomic, append-only rows that complete each other."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.core.errors import UsageError
from bench.store import Store, missing, write_atomic, write_text


def row(key: str, **values) -> dict:
    return {"key": key, "have": [f"{name}@1" for name in values], "image": key, **values}


def test_rows_come_back_by_key_and_complete_each_other(tmp_path):
    store = Store(tmp_path)
    store.add("scores", [row("a", AD=0.5), row("b", AD=0.25)])
    store.add("scores", [{**row("a", I=0.75), "I_vector": np.array([0.5, 1.0])}])
    rows = store.rows("scores")
    assert rows.loc["a", "have"] == ["AD@1", "I@1"]
    assert (rows.loc["a", "AD"], rows.loc["a", "I"]) == (0.5, 0.75)
    assert rows.loc["a", "I_vector"].tolist() == [0.5, 1.0]
    assert rows.loc["b", "AD"] == 0.25
    assert np.isnan(rows.loc["b", "I"])


def test_missing_names_what_no_row_has():
    assert missing(Store(Path("nowhere")).rows("scores"), ["a"], {"AD@1"}) == {"a": {"AD@1"}}


def test_missing_after_a_part_is_stored(tmp_path):
    store = Store(tmp_path)
    store.add("scores", [row("a", AD=0.5)])
    rows = store.rows("scores")
    assert missing(rows, ["a", "b"], {"AD@1", "I@1"}) == {"a": {"I@1"}, "b": {"AD@1", "I@1"}}
    assert missing(rows, ["a"], {"AD@1"}) == {}
    assert missing(rows, ["a"], {"AD@2"}) == {"a": {"AD@2"}}


def test_maps_come_back_under_their_rows(tmp_path):
    store = Store(tmp_path)
    maps = {"a": torch.rand(7, 7).half(), "b": torch.rand(3, 3).half()}
    store.add("scores", [row("a", AD=0.5), row("b", AD=0.25)], maps)
    found = store.maps(store.rows("scores").loc[["b"]])
    assert found.keys() == {"b"}
    assert torch.equal(found["b"], maps["b"])


def test_the_same_job_twice_is_one_file(tmp_path):
    store = Store(tmp_path)
    for _ in range(2):
        store.add("scores", [row("a", AD=0.5)])
    assert len(list((tmp_path / "scores").iterdir())) == 1


def test_an_unreadable_file_is_set_aside_and_named(tmp_path, caplog):
    store = Store(tmp_path)
    store.add("scores", [row("a", AD=0.5)])
    (tmp_path / "scores" / "broken.parquet").write_bytes(b"PAR1 not really")
    assert list(store.rows("scores").index) == ["a"]
    assert "broken.parquet cannot be read" in caplog.text
    assert list(store.rows("scores").index) == ["a"]


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path):
    path = tmp_path / "scores" / "file"
    write_text(path, "old")

    def full(temporary: Path) -> None:
        temporary.write_text("half of the new")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UsageError, match="is full; all rows finished so far are stored"):
        write_atomic(path, full)
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == ["file"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_really_full_device_is_told_the_same_way(tmp_path):
    def write(temporary: Path) -> None:
        with open("/dev/full", "w") as file:
            file.write("x" * 100_000)

    with pytest.raises(UsageError, match="is full"):
        write_atomic(tmp_path / "file", write)


WRITER = """
import sys
from pathlib import Path
from bench.store import Store
store = Store(Path(sys.argv[1]))
n = 0
while True:
    store.add("scores", [{"key": f"{n}-{i}", "have": ["AD@1"], "AD": n + i / 100} for i in range(100)])
    print(n, flush=True)
    n += 1
"""


def test_a_killed_writer_leaves_only_whole_jobs(tmp_path):
    root = Path(__file__).parents[1]
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, cwd=root)
    assert process.stdout is not None
    for _ in range(5):
        process.stdout.readline()
    time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    rows = Store(tmp_path).rows("scores")
    jobs = {key.split("-")[0] for key in rows.index}
    assert len(jobs) >= 5
    assert len(rows) == 100 * len(jobs)
    assert not list(tmp_path.glob("*/.*.tmp"))
