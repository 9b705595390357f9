"""Atomic, append-only rows that complete each other."""

from __future__ import annotations

import errno
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from bench.core import files
from bench.core.errors import UsageError
from bench.core.files import write_atomic, write_text
from bench.core.refusal import refusal
from bench.core.unfinished import unfinished
from bench.run import parts
from bench.run.merge import newest
from bench.run.store import Store, missing, read_maps
from tests.places import ROOT


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
    maps = {"a": torch.rand(7, 7).half(), "b": 4 * torch.eye(3)}
    store.add("scores", [row("a", AD=0.5), row("b", AD=0.25)], maps)
    found = store.maps(store.rows("scores").loc[["b"]])
    assert found.keys() == {"b"}
    assert torch.equal(found["b"], torch.eye(3))  # at a largest magnitude of 1
    assert torch.equal(read_maps(tmp_path, store.rows("scores").maps_file)["b"], maps["b"])


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


def test_a_column_that_is_empty_everywhere_stays(tmp_path, recwarn):
    store = Store(tmp_path)
    store.add("scores", [row("a", AD=0.5) | {"label": None}])
    store.add("scores", [row("b", AD=math.nan) | {"label": None}])
    rows = store.rows("scores")
    assert rows.label.isna().all()
    assert rows.AD.tolist() == [0.5, pytest.approx(math.nan, nan_ok=True)]
    assert not recwarn.list


VERSIONS = ({"AD": 0.1}, {"AD": 0.2, "I": 0.3}, {"I": math.nan}, {"D": 0.4, "AD": 0.5})


@pytest.mark.parametrize("seed", range(40))
def test_the_newest_row_wins_whatever_the_files_are_called(tmp_path, seed):
    """Random rows of three keys in random files against a dictionary that is written in the same order."""
    rng, store, expected, have = np.random.default_rng(seed), Store(tmp_path), {}, {}
    for version in range(12):
        keys = [key for key in "abc" if rng.random() < 0.6] or ["a"]
        values = VERSIONS[rng.integers(len(VERSIONS))]
        stamped = {name: value + version for name, value in values.items()}
        extra = {"p": float(version)} if rng.random() < 0.5 else {}
        tags = [f"{name}@{version}" for name in values]
        store.add("scores", [{"key": key, "have": tags, **stamped, **extra} for key in keys])
        for path in (tmp_path / "scores").glob("*.parquet"):
            path.rename(path.with_name(f"{rng.integers(1 << 60):x}.parquet"))
        for key in keys:
            expected.setdefault(key, {}).update(stamped | extra)
            have.setdefault(key, {}).update({name: f"{name}@{version}" for name in values})
    rows = store.rows("scores")
    assert rows.index.tolist() == sorted(expected)
    for key, values in expected.items():
        assert rows.loc[key, "have"] == sorted(have[key].values())
        for name in ("AD", "I", "D", "p"):
            found = rows.loc[key].get(name, math.nan)
            assert found == pytest.approx(values.get(name, math.nan), nan_ok=True), (key, name)


def test_an_older_version_never_passes_for_another(tmp_path):
    store = Store(tmp_path)
    store.add("scores", [{"key": "a", "have": ["AD@1", "I@1"], "AD": 0.1, "I": 0.2, "I_vector": np.ones(2)}])
    store.add("scores", [{"key": "a", "have": ["I@2"], "I": math.nan}])
    rows = store.rows("scores")
    assert rows.loc["a", "have"] == ["AD@1", "I@2"]
    assert missing(rows, ["a"], {"AD@1", "I@1"}) == {"a": {"I@1"}}
    assert math.isnan(rows.loc["a", "I"])
    assert rows.loc["a", "I_vector"] is None


def test_a_row_without_a_time_is_older_than_any(tmp_path):
    store = Store(tmp_path)
    store.add("scores", [row("a", AD=0.5)])
    old = pd.DataFrame([row("a", AD=0.25) | {"schema": 1}])
    old.to_parquet(tmp_path / "scores" / "00.parquet", index=False)
    assert store.rows("scores").loc["a", "AD"] == 0.5


def test_a_clock_that_went_back_makes_no_row_old(tmp_path, monkeypatch):
    Store(tmp_path).add("scores", [row("a", AD=0.5)])
    again = Store(tmp_path)
    again.rows("scores")
    monkeypatch.setattr("bench.run.store.time.time_ns", lambda: 1)
    again.add("scores", [row("a", AD=0.75, I=0.1)])
    assert again.rows("scores").loc["a", "AD"] == 0.75


def test_the_newest_map_wins(tmp_path):
    store = Store(tmp_path)
    for version, names in enumerate(({"AD": 1.0}, {"I": 1.0}, {"AD": 1.0, "I": 1.0})):
        store.add("scores", [row("a", **names)], {"a": torch.full((2, 2), version).half()})
    assert read_maps(tmp_path, store.rows("scores").maps_file)["a"].unique().tolist() == [2]


def test_many_rows_of_one_file_each_are_read_quickly():
    rows = pd.DataFrame({"key": [f"{i:06}" for i in range(200_000)], "AD": 0.5, "stored_at": 1})
    rows["have"] = [["AD@1"]] * len(rows)
    begin = time.perf_counter()
    assert len(newest(rows)) == len(rows)
    assert time.perf_counter() - begin < 5


DAMAGE = {
    "not Parquet": lambda path: path.write_bytes(b"PAR1 not really"),
    "empty": lambda path: path.touch(),
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "another's": lambda path: pd.DataFrame({"x": [1]}).to_parquet(path),
    "numbers for keys": lambda path: pd.DataFrame({"key": [1], "have": [["AD@1"]], "schema": 1}).to_parquet(path),
    "no key": lambda path: pd.DataFrame({"key": [None], "have": [["AD@1"]], "schema": 1}).to_parquet(path),
    "text for a number": lambda path: pd.DataFrame([row("z", AD="0.5") | {"schema": 1}]).to_parquet(path),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_is_no_file_of_ours_is_named_and_set_aside(tmp_path, caplog, name):
    store = Store(tmp_path)
    store.add("scores", [row("a", AD=0.5)])
    store.add("scores", [row("b", AD=0.25)])
    damaged = tmp_path / "scores" / "00.parquet"
    DAMAGE[name](damaged)
    assert store.rows("scores").AD.to_dict() == {"a": 0.5, "b": 0.25}
    assert f"{damaged} cannot be read" in caplog.text
    assert not os.path.lexists(damaged)
    assert os.path.lexists(damaged.with_suffix(".unreadable"))


def test_damaged_maps_are_named_and_set_aside(tmp_path, caplog):
    store = Store(tmp_path)
    for key in "ab":
        store.add("scores", [row(key, AD=0.5)], {key: torch.rand(2, 2).half()})
    rows = store.rows("scores")
    damaged = tmp_path / "maps" / rows.maps_file["a"]
    damaged.write_bytes(damaged.read_bytes()[:20])
    assert store.maps(rows).keys() == {"b"}
    assert f"{damaged} cannot be read" in caplog.text
    assert damaged.with_suffix(".unreadable").exists()


def test_a_second_process_does_not_take_the_first_ones_unfinished_file(tmp_path):
    mine = unfinished(tmp_path / "scores" / "file")
    mine.parent.mkdir()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left, elsewhere, old = (
        mine.with_name(name)
        for name in (mine.name.replace(f".{os.getpid()}.", f".{dead.pid}."), ".x.other.1.tmp", ".y.other.1.tmp")
    )
    for path in (mine, left, elsewhere, old):
        path.touch()
    os.utime(old, (0, 0))
    Store(tmp_path)
    assert sorted(mine.parent.iterdir()) == sorted([mine, elsewhere])


def test_a_file_in_the_way_of_a_folder_is_one_line(tmp_path):
    (tmp_path / "scores").touch()
    with pytest.raises(OSError, match="scores") as caught:
        Store(tmp_path).add("scores", [row("a", AD=0.5)])
    assert refusal(caught.value).endswith("; move what is in the way, or name another place (--out for results)")


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
from bench.run.store import Store
store = Store(Path(sys.argv[1]))
n = 0
while True:
    store.add("scores", [{"key": f"{n}-{i}", "have": ["AD@1"], "AD": n + i / 100} for i in range(100)])
    print(n, flush=True)
    n += 1
"""


def test_a_killed_writer_leaves_only_whole_jobs(tmp_path):
    root = ROOT
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


def filled(folder, files=80, rows=3):
    """A store of many small files; some rows lack a column, and one is stored twice."""
    store = Store(folder)
    for i in range(files):
        extra = {"I": 0.5, "I_vector": np.arange(3.0)} if i % 2 else {}
        store.add("scores", [{"key": f"{i}-{j}", "have": ["AD@1"], "image": f"{j}", "AD": i + j / 10, **extra}
                             for j in range(rows)])  # fmt: skip
    store.add("scores", [{"key": "0-0", "have": ["AD@1"], "image": "0", "AD": 99.0}])
    return store


def test_small_files_are_joined_and_rows_stay(tmp_path):
    store = filled(tmp_path)
    before = store.rows("scores")
    store.compact()
    assert len(list((tmp_path / "scores").glob("*.parquet"))) == 1
    pd.testing.assert_frame_equal(Store(tmp_path).rows("scores"), before, check_like=True)
    assert before.AD["0-0"] == 99
    store.add("scores", [{"key": "0-0", "have": ["AD@1"], "image": "0", "AD": 100.0}])
    assert store.rows("scores").AD["0-0"] == 100  # the newest wins, wherever it lies


def test_few_files_are_left_alone(tmp_path):
    store = filled(tmp_path, files=5)
    store.compact()
    assert len(list((tmp_path / "scores").glob("*.parquet"))) == 6


@pytest.mark.parametrize("done", [0, 1, 40])
def test_a_kill_while_files_are_joined_loses_no_row(tmp_path, monkeypatch, done):
    """After the large file is written, `done` of the small ones have gone when the process dies."""
    store = filled(tmp_path)
    before, calls = store.rows("scores"), []

    def dying(path, missing_ok=False):
        calls.append(path)
        if len(calls) > done:
            raise KeyboardInterrupt
        path.unlink_really(missing_ok)

    monkeypatch.setattr(type(tmp_path), "unlink_really", type(tmp_path).unlink, raising=False)
    monkeypatch.setattr(type(tmp_path), "unlink", dying)
    with pytest.raises(KeyboardInterrupt):
        store.compact()
    monkeypatch.undo()
    pd.testing.assert_frame_equal(Store(tmp_path).rows("scores"), before, check_like=True)
    Store(tmp_path).compact()
    pd.testing.assert_frame_equal(Store(tmp_path).rows("scores"), before, check_like=True)


def test_a_file_that_another_process_replaced_meanwhile_stays(tmp_path, monkeypatch):
    store = filled(tmp_path)
    (newer, *_) = sorted((tmp_path / "scores").glob("*.parquet"))
    written = files.write_atomic

    def slow(path, write):
        written(path, write)
        monkeypatch.undo()
        newer.write_bytes(newer.read_bytes())

    monkeypatch.setattr("bench.run.store.write_atomic", slow)
    store.compact()
    assert newer.is_file()
    assert len(list((tmp_path / "scores").glob("*.parquet"))) == 2


def test_files_that_go_while_the_folder_is_read_are_read_where_they_went(tmp_path, monkeypatch):
    """Another process joins the files between listing and reading."""
    store = filled(tmp_path)
    before = store.rows("scores")
    reading = parts.read_tables

    def slow(paths, schema):
        monkeypatch.undo()
        Store(tmp_path).compact()
        return reading(paths, schema)

    monkeypatch.setattr(parts, "read_tables", slow)
    pd.testing.assert_frame_equal(store.rows("scores"), before, check_like=True)
