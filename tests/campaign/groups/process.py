"""The process itself: its console and its environment."""

from __future__ import annotations

from pathlib import Path

from tests.campaign.case import Group, Outcome, fine
from tests.campaign.inputs import command, having, table

process = Group("process")
GROUPS = [process]
RUN = "$PYTHON $ROOT/run_benchmark.py " + " ".join(command())


def finished(folder: Path) -> None:
    assert table(folder).loc["gradient", "status"] == "ok"
    assert (folder / "out/run.json").is_file()


for name, shell in (
    ("an ASCII console", f"PYTHONIOENCODING=ascii LC_ALL=C {RUN}"),
    ("standard output closed", f"{RUN} >&-"),
    ("standard error closed", f"{RUN} 2>&-"),
    ("both closed", f"{RUN} >&- 2>&-"),
    ("a reader that leaves after a line", f"{RUN} | head -1; exit ${{PIPESTATUS[0]}}"),
    ("standard input closed", f"{RUN} <&-"),
    ("a full device as standard output", f"{RUN} > /dev/full"),
    ("a terminal of no width", f"COLUMNS=1 {RUN}"),
    ("two processes on one folder", f"{RUN} & {RUN}; code=$?; wait $!; exit $((code + $?))"),
):
    process.add(name, [], fine(), make=having(), how="shell", shell=shell, check=finished)
process.add("a folder named metrics beside it", [], Outcome((0, 1), ()), make=having(
    lambda folder: (folder / "metrics").mkdir()), how="shell", shell=RUN)  # fmt: skip
