"""What the program is called in messages: the script of a checkout, or the command that was installed."""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "run_benchmark.py"
COMMAND = "cambench"


def program() -> str:
    """`run_benchmark.py` in a checkout, unless it was started as `cambench`; `cambench` where it is installed."""
    return SCRIPT.name if SCRIPT.is_file() and Path(sys.argv[0]).stem != COMMAND else COMMAND


def command() -> str:
    """What a user types to start it."""
    return f"python {SCRIPT.name}" if program() == SCRIPT.name else COMMAND
