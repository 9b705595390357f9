"""Rank explainers of an image classifier: `python run_benchmark.py --model resnet50 --methods all`."""

import sys


def main() -> int:
    """The command line, of the installed `cambench` too; Ctrl-C has its one line while everything is still imported."""
    try:
        from cambench import main as command_line

        return command_line()
    except KeyboardInterrupt:
        print("interrupted before anything was computed", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
