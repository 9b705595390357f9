"""The first step of both programs, `run_benchmark.py` and `cambench`: Ctrl-C has its one line from the beginning."""

from __future__ import annotations

import sys


def main() -> int:
    """The command line; 130 when it is interrupted while everything is imported."""
    try:
        from cambench import main as command_line

        return command_line()
    except KeyboardInterrupt:
        print("interrupted before anything was computed", file=sys.stderr)
        return 130
