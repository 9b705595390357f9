"""Runs a case in a folder of its own: every command in a fork of this warm process, killed at its limit."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.campaign.case import USAGE, Case, Outcome, Step

ROOT = Path(__file__).resolve().parents[2]
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Result:
    """What came of a case: `problem` is empty if all is as it must be."""

    name: str
    group: str
    kind: str = ""
    """"", "unexpected exit", "traceback", "hang", "other words" or "other files"."""
    problem: str = ""
    seconds: float = 0.0


class Wrong(Exception):
    """A command did not do what it must."""

    def __init__(self, kind: str, problem: str):
        super().__init__(problem)
        self.kind = kind


def run_case(case: Case, keep: Path | None = None) -> Result:
    """Run one case in a temporary folder, which is removed unless `keep` names another."""
    begin = time.monotonic()
    folder = keep or Path(tempfile.mkdtemp(prefix="campaign-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for step in case.steps:
            if isinstance(step, Step):
                code, out, err = carry_out(step, folder, case.seconds)
                judge(step.outcome, code, out, err)
            else:
                step(folder)
        refuse_leftovers(folder)
        if case.check:
            case.check(folder)
    except Wrong as wrong:
        return Result(case.name, case.group, wrong.kind, str(wrong), time.monotonic() - begin)
    except AssertionError as wrong:
        return Result(case.name, case.group, "other files", " ".join(str(wrong).split()), time.monotonic() - begin)
    except Exception as error:  # a check that finds no table, no column, …
        problem = " ".join(f"{type(error).__name__}: {error}".split())
        return Result(case.name, case.group, "other files", problem, time.monotonic() - begin)
    finally:
        if keep is None:
            remove(folder)
    return Result(case.name, case.group, seconds=time.monotonic() - begin)


def remove(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def carry_out(step: Step, folder: Path, seconds: float) -> tuple[int | None, str, str]:
    """(exit code, standard output, standard error) of a command; no code where it was killed at its limit."""
    names = [tempfile.mkstemp(prefix="campaign-")[1] for _ in range(2)]
    pid = os.fork()
    if pid == 0:
        become(step, folder, names)
    code = wait(pid, seconds)
    texts = [Path(name).read_text(encoding="utf-8", errors="replace") for name in names]
    for name in names:
        os.unlink(name)
    return code, *texts


def wait(pid: int, seconds: float) -> int | None:
    """The child's exit code; it and its children are killed when the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            kill_group(pid)
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    kill_group(pid)
    os.waitpid(pid, 0)
    return None


def kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def become(step: Step, folder: Path, names: Sequence[str]) -> None:
    """In the child: run the command as a program would be, and end."""
    code = 99
    try:
        os.setpgid(0, 0)
        for descriptor, name in ((0, os.devnull), (1, names[0]), (2, names[1])):
            opened = os.open(name, os.O_RDWR)
            os.dup2(opened, descriptor)
            os.close(opened)
        os.chdir(folder)
        os.environ.update(step.environment)
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8", write_through=True)
        sys.stderr = io.TextIOWrapper(
            io.FileIO(2, "w", closefd=False), encoding="utf-8", errors="backslashreplace", write_through=True
        )
        code = PROGRAMS[step.how](step)
    except SystemExit as end:
        code = exit_code(end)
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        os._exit(code)


def exit_code(end: SystemExit) -> int:
    """What Python makes of `sys.exit(…)`."""
    if isinstance(end.code, int | None):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return 1


def in_fork(step: Step) -> int:
    sys.argv = [f"{step.program}.py", *step.argv]
    return entry(step.program)(list(step.argv))


def entry(program: str) -> Callable[[list[str]], int]:
    """The function behind a command."""
    if program == "run_benchmark":
        from cambench import main
    elif program == "bench.speed":
        from bench.speed.run import main
    elif program == "bench.scale":
        from bench.scale import main
    else:
        from methods.decoder.training.command import main
    return main


def as_program(step: Step) -> int:
    command = [str(ROOT / "run_benchmark.py")] if step.program == "run_benchmark" else ["-m", step.program]
    return execute([sys.executable, *command, *step.argv])


def in_shell(step: Step) -> int:
    os.environ["ROOT"], os.environ["PYTHON"] = str(ROOT), sys.executable
    return execute(["bash", "-c", step.shell])


def execute(words: Sequence[str]) -> int:
    os.environ.setdefault("PYTHONPATH", str(ROOT))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.execvp(words[0], list(words))


PROGRAMS: dict[str, Callable[[Step], int]] = {"fork": in_fork, "program": as_program, "shell": in_shell}


def judge(outcome: Outcome, code: int | None, out: str, err: str) -> None:
    """Raises Wrong unless the command did what it must."""
    last = last_line(err) or last_line(out)
    if code is None:
        raise Wrong("hang", f"killed at the limit; last line: {last}")
    if "Traceback (most recent call last)" in out + err:
        raise Wrong("traceback", f"exit code {code}; {last}")
    if code not in outcome.exits:
        raise Wrong("unexpected exit", f"exit code {code}, not {' or '.join(map(str, outcome.exits))}; {last}")
    if COLOUR.search(out + err):
        raise Wrong("other words", "terminal colour codes in the output")
    told = f"{out}\n{err}"
    if code == USAGE:
        lines = [line for line in re.split(r"[\r\n]+", err) if line.strip()]
        errors = [line for line in lines if re.match(r"(\S+( -m \S+)?: )?error: ", line)]
        if len(errors) != 1 or lines[-1] != errors[0]:
            raise Wrong("other words", f"{len(errors)} error lines, or more after it; last line: {last}")
        told = errors[0]
    told = " ".join(told.split())
    for pattern in outcome.says:
        if not re.search(pattern, told, re.IGNORECASE):
            raise Wrong("other words", f"nothing says /{pattern}/; {last if code else tail(out, err)}")
    for pattern in outcome.silent:
        if found := re.search(pattern, told, re.IGNORECASE):
            raise Wrong("other words", f"/{pattern}/ must not be said: {found[0]}")


def last_line(output: str) -> str:
    lines = [line.strip() for line in re.split(r"[\r\n]+", output) if line.strip()]
    return lines[-1][:300] if lines else ""


def tail(out: str, err: str) -> str:
    return f"out: {' '.join(out.split())[-250:]} err: {last_line(err)[-200:]}"


def refuse_leftovers(folder: Path) -> None:
    for path in folder.rglob("*.tmp"):
        raise Wrong("other files", f"{path.relative_to(folder)} is left behind")
