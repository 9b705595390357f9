"""The Ray engine gives the rows and tables of the local one, whatever happens to its nodes."""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.api.start import rebuild
from bench.cli.parser import parse
from bench.core.errors import UsageError
from bench.run.engine.address import require_cluster
from bench.run.engine.unit import Unit
from cambench import main
from tests.places import ROOT

pytestmark = pytest.mark.slow

ASSETS = ROOT / "tests" / "assets"
MEMORY = 80 * 2**20
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="the extra 'cluster' is not installed")

NET = """
import os, runpy

tiny = runpy.run_path({tiny!r})["build"]

def build():
    with open({log!r}, "a") as log:
        log.write(f"{{os.getpid()}}\\n")
    return tiny()

vars(build).update(vars(tiny))
"""

PLUGIN = """
import os, time
from pathlib import Path

import ray
from cambench import explainer

FOLDER = Path({folder!r})


def wait(file):
    while not file.exists():
        time.sleep(0.02)


@explainer("slow-cam", paper="hangs on the node that `armed` names; elsewhere it waits until it hangs there")
def slow_cam(classifier, images, targets):
    if (FOLDER / "armed").exists():
        if ray.get_runtime_context().get_node_id() == (FOLDER / "armed").read_text():
            (FOLDER / "pid").write_text(str(os.getpid()))
            (FOLDER / "pid").rename(FOLDER / "begun")
            time.sleep(600)
        wait(FOLDER / "begun")
    return classifier.features(images).abs().mean(1)


@explainer("deadly", paper="ends its process")
def deadly(classifier, images, targets):
    os._exit(1)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """14 smooth images in 7 folders, a net that notes who loads it, and a plug-in."""
    root = tmp_path_factory.mktemp("ray")
    rng = np.random.default_rng(0)
    for label in range(7):
        (root / "photos" / f"class{label}").mkdir(parents=True)
        for index in range(2):
            small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
            small.resize((48, 40), Image.Resampling.BICUBIC).save(root / "photos" / f"class{label}" / f"{index}.png")
    (root / "net.py").write_text(NET.format(tiny=str(ASSETS / "tiny.py"), log=str(root / "loads")))
    (root / "plugin.py").write_text(PLUGIN.format(folder=str(root)))
    return root


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one core each."""
    import bench.run.engine._ray_cluster as engine

    quick = {"health_check_period_ms": 500, "health_check_timeout_ms": 2000, "health_check_failure_threshold": 3}
    started = importlib.import_module("ray.cluster_utils").Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": MEMORY, "_system_config": quick},
    )
    started.add_node(num_cpus=1, object_store_memory=MEMORY)
    session = Path(started.head_node.get_session_dir_path())
    yield started
    engine.ray.shutdown()
    started.shutdown()
    engine.end(session)


def command(folder: Path, out: Path, *extra: str, methods: str) -> list[str]:
    return ["--model", f"{folder / 'net.py'}:build", "--data", "folder", "--data-root", str(folder / "photos"),
            "--plugin", str(ASSETS / "plugin.py"), "--plugin", str(folder / "plugin.py"), "--out", str(out),
            "--methods", methods, "--no-controls", "--batch-size", "4", "--metrics", "AD,AI,I", "--device", "cpu",
            "--protocol", "clean+steps=2", *extra]  # fmt: skip


def on_ray(cluster) -> list[str]:
    return ["--engine", "ray", "--ray-address", cluster.address]


def stored(out: Path) -> dict[str, bytes]:
    """Every row, but for when it was stored, and every map."""
    files = [file for kind in ("scores", "clean", "maps") for file in (out / kind).iterdir()]
    return {str(file.relative_to(out)): content(file) for file in files}


def content(file: Path) -> bytes:
    if file.suffix != ".parquet":
        return file.read_bytes()
    return pd.read_parquet(file).drop(columns="stored_at").to_json(double_precision=15).encode()


def tables(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in ("leaderboard.csv", "differences.csv", "images.csv")}


METHODS = "grad-cam,layer-cam,power-cam(power=2),failing"


@pytest.fixture(scope="module")
def local(folder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("local")
    assert main(command(folder, out, methods=METHODS)) == 1
    return out


@needs_ray
def test_rows_and_tables_are_those_of_the_local_engine_byte_for_byte(folder, local, cluster, tmp_path):
    before = (folder / "loads").read_text().splitlines()
    assert main([*command(folder, tmp_path, methods=METHODS), *on_ray(cluster)]) == 1
    assert stored(tmp_path) == stored(local)
    assert tables(tmp_path) == tables(local)
    frame = pd.read_csv(tmp_path / "leaderboard.csv").set_index("method")
    assert frame.status["failing"] == "failed"
    assert "the explainer broke" in frame.reason["failing"]
    assert (frame.status.drop("failing") == "ok").all()
    facts = [json.loads((out / "run.json").read_text()) | {"command": ""} for out in (local, tmp_path)]
    assert facts[0] == facts[1]
    loads = (folder / "loads").read_text().splitlines()[len(before) :]
    assert 2 <= len(loads) <= 3, "the command itself, an actor on one node, and on the other unless all was done before"
    assert len(set(loads)) == len(loads), "a process loads it once"


@needs_ray
def test_an_interrupted_run_goes_on_with_any_engine(folder, local, cluster, tmp_path, monkeypatch, capsys):
    from bench.run.carry_out import RunProgress

    real, calls = RunProgress.keep, []

    def interrupted(self, *arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(self, *arguments)

    monkeypatch.setattr(RunProgress, "keep", interrupted)
    assert main([*command(folder, tmp_path, methods=METHODS), *on_ray(cluster)]) == 130
    assert "resumes from here" in capsys.readouterr().err
    assert len(list((tmp_path / "scores").iterdir())) == 2
    monkeypatch.undo()
    assert main(command(folder, tmp_path, methods=METHODS)) == 1
    assert stored(tmp_path) == stored(local)
    assert tables(tmp_path) == tables(local)


@needs_ray
def test_a_unit_that_kills_its_worker_ends_its_method_alone(folder, cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.run.engine._ray_cluster.LOSSES", 1)
    assert main([*command(folder, tmp_path, "--limit", "4", methods="deadly"), *on_ray(cluster)]) == 1
    row = pd.read_csv(tmp_path / "leaderboard.csv").iloc[0]
    assert row.status == "failed"
    assert "1 worker died of it" in row.reason


@needs_ray
def test_a_node_killed_in_mid_run_loses_nothing(folder, cluster, tmp_path):
    """The lost actor finds no room on the node that is left, whose core is taken: its unit must not wait for it."""
    methods = "grad-cam,slow-cam,layer-cam"
    assert main(command(folder, tmp_path / "local", methods=methods)) == 0
    (node,) = cluster.worker_nodes
    (folder / "armed").write_text(node.node_id)

    def kill():
        while not (folder / "begun").exists():
            time.sleep(0.02)
        cluster.remove_node(node, allow_graceful=False)
        os.kill(int((folder / "begun").read_text()), signal.SIGKILL)

    killer = Thread(target=kill, daemon=True)
    killer.start()
    assert main([*command(folder, tmp_path / "ray", methods=methods), *on_ray(cluster)]) == 0
    killer.join()
    assert not cluster.worker_nodes
    assert stored(tmp_path / "ray") == stored(tmp_path / "local")
    assert tables(tmp_path / "ray") == tables(tmp_path / "local")


@needs_ray
def test_a_worker_goes_on_with_its_own_chunk_then_with_one_that_nobody_has():
    from bench.run.engine._ray_cluster import Queue

    def unit(chunk: int, source: str) -> Unit:
        return Unit(source, chunk, pd.DataFrame(), (), (), None)

    units = {(chunk, source): unit(chunk, source) for chunk in (0, 4, 8) for source in "ab"}
    queue = Queue(list(units.values()), lambda unit: unit is not units[8, "a"])
    assert queue.take(None, set()) is units[0, "a"]
    assert queue.take(None, {0}) is units[4, "a"]
    assert queue.take(4, {0}) is units[4, "b"]
    assert queue.take(4, {0}) is units[8, "b"], "8 a is not wanted any more"
    assert queue.take(8, {0}) is units[0, "b"], "nothing else is left"
    assert queue.take(0, set()) is None
    queue.put(units[4, "a"])
    assert queue.take(0, set()) is units[4, "a"]


@needs_ray
def test_a_worker_with_other_weights_is_refused(folder, tmp_path):
    from bench.run.engine._ray_cluster import Actor

    _, config = parse(command(folder, tmp_path, methods="grad-cam"))
    actor = Actor(partial(rebuild, config, ""), 4, Path.cwd(), "another fingerprint", 1)
    with pytest.raises(UsageError, match="loads another"):
        actor.ready()


@needs_ray
def test_a_worker_without_the_folder_says_that_the_nodes_must_share_it(tmp_path):
    from bench.run.engine._ray_cluster import Actor

    with pytest.raises(UsageError, match="shared file system"):
        Actor(lambda batch: None, 4, tmp_path / "elsewhere", "", 1).ready()


def test_without_ray_the_extra_is_named(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "bench.run.engine._ray_cluster", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([*command(folder, tmp_path, methods="grad-cam"), "--engine", "ray"]) == 2
    assert "pip install 'cambench[cluster]'" in capsys.readouterr().err


@needs_ray
def test_without_a_cluster_the_error_says_how_to_start_one(folder, tmp_path, monkeypatch, capsys):
    import bench.run.engine._ray_cluster as engine

    def unreachable(address):
        raise ConnectionError("Could not find any running Ray instance.\nMore.")

    monkeypatch.setattr(engine.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(engine, "canonicalize_bootstrap_address", unreachable)
    assert main([*command(folder, tmp_path, methods="grad-cam"), "--engine", "ray"]) == 2
    error = capsys.readouterr().err.strip()
    assert "Could not find any running Ray instance" in error
    assert "ray start --head" in error
    assert "\n" not in error


def silent() -> socket.socket:
    """Something that takes connections and says nothing."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


@needs_ray
@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "no Ray cluster at --ray-address 127.0.0.1:1 (Connection refused); start one with: ray start"),
        ("no.such.name.invalid:6379", "(the name no.such.name.invalid is not known here: "),
        ("10.255.255.1:6379", "no Ray cluster at --ray-address 10.255.255.1:6379 ("),
        ("localhost", "--ray-address 'localhost' is none; write auto, local, or HOST:PORT"),
        ("localhost:0", "--ray-address 'localhost:0' is none"),
        ("localhost:99999", "--ray-address 'localhost:99999' is none"),
        ("ray://localhost:10001", "--ray-address 'ray://localhost:10001' is none"),
        ("", "--ray-address '' is none"),
    ],
)
def test_a_wrong_address_is_told_within_seconds(address, message, folder, tmp_path, monkeypatch, capsys):
    import bench.run.engine._ray_cluster as engine

    monkeypatch.setattr(engine.ray, "is_initialized", lambda: False)
    start = time.perf_counter()
    flags = ["--engine", "ray", "--ray-address", address]
    assert main([*command(folder, tmp_path, methods="grad-cam"), *flags]) == 2
    assert time.perf_counter() - start < 12
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error


def test_a_port_that_never_answers_is_given_up():
    with silent() as listener, pytest.raises(UsageError, match=r"\(no answer within 4 s\)"):
        require_cluster(f"127.0.0.1:{listener.getsockname()[1]}")


def test_a_server_of_another_kind_is_told():
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    Thread(target=server.serve_forever, daemon=True).start()
    with pytest.raises(UsageError, match=r"\(what listens there is not Ray\)"):
        require_cluster(f"127.0.0.1:{server.server_port}")
    server.shutdown()


@needs_ray
def test_a_cluster_is_recognised(cluster):
    require_cluster(cluster.address)


STARTED = """
import os
import cambench
import ray
from ray._private import ray_constants, worker

import bench.run.engine._ray_cluster as engine

assert not ray_constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV, "read when ray was imported"
engine.connect("local")
assert engine.ray.is_initialized()
assert os.environ["RAY_AUTH_MODE"] == "token"
print(worker._global_node.get_session_dir_path())
"""


@needs_ray
def test_a_cluster_of_this_machine_alone_wants_a_token_and_leaves_no_files():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    ran = subprocess.run([sys.executable, "-c", STARTED], env=environment, capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    session = Path(ran.stdout.splitlines()[-1])
    assert session.name.startswith("session_")
    assert session.parent.is_dir()
    assert not session.exists()


def test_the_switch_that_copies_the_environment_is_off_before_anything_can_import_ray():
    """What imports Ray without our engine, such as a plug-in, reads it too."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    program = "import os, sys, cambench; print('ray' in sys.modules, os.environ['RAY_ENABLE_UV_RUN_RUNTIME_ENV'])"
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, cwd=ROOT)
    assert ran.stdout.split() == ["False", "0"], ran.stderr
