"""Settings of the whole suite."""

import os
import sys

# Tests start many programs, and compiling torch's sources takes each of them seconds where bytecode is not kept.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import pytest  # noqa: E402
import torch  # noqa: E402

from bench.core.device import prepare_process  # noqa: E402
from bench.core.user_code import load_file  # noqa: E402
from bench.plugins import register  # noqa: E402

torch.set_num_threads(1)  # nets this small gain nothing from two threads, and lose much on busy cores
prepare_process()
register()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--plugin", action="append", default=[], help="hold the explainers of this file to the contract too"
    )


def pytest_configure(config: pytest.Config) -> None:
    for file in config.getoption("--plugin"):
        load_file(file)


@pytest.fixture(autouse=True)
def no_report(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures and page take seconds a run, so that only tests marked `report` make them."""
    if request.node.get_closest_marker("report") is None:
        monkeypatch.setattr("bench.run.write.write_report", lambda evidence, folder: None)
