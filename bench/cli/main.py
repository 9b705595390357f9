"""The command line: from flags to a run, and from errors to one line and an exit code."""

from __future__ import annotations

import logging
import shlex
import signal
import sys
import threading
from collections.abc import Sequence

from bench.cli.console import tolerant_console
from bench.cli.parser import parse
from bench.core.errors import UsageError, on_interrupt
from bench.core.program import program
from bench.core.refusal import refusal

log = logging.getLogger(__name__)

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0 all ok or skipped, 1 some method failed, 2 usage or something missing, 130
    interrupted."""
    with tolerant_console():
        try:
            return command_line(list(sys.argv[1:] if argv is None else argv))
        except UsageError as error:
            print(f"error: {error}", file=sys.stderr)
            return USAGE
        except OSError as error:
            log.debug("refused", exc_info=True)
            print(f"error: {refusal(error)}", file=sys.stderr)
            return USAGE
        except KeyboardInterrupt:
            print("interrupted; what is finished is stored, and the same command resumes from here", file=sys.stderr)
            return INTERRUPTED


def command_line(argv: list[str]) -> int:
    args, config = parse(argv)
    if args.version:
        from bench.core.version import own_version

        print(f"cambench {own_version()}")
        return OK
    logging.basicConfig(level=logging.DEBUG if args.verbose else logging.WARNING, format="%(levelname)s: %(message)s")
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    logging.getLogger("PIL").setLevel(logging.WARNING)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, on_interrupt)

    # What computes is imported here: help, the version and a misspelt flag must not wait for torch.
    from bench.api.start import request_and_engine
    from bench.core.device import prepare_process
    from bench.plugins import register

    prepare_process()
    register(config.plugin)
    if args.list:
        from bench.cli.listing import listing

        print(listing())
        return OK
    command = shlex.join([program(), *argv])
    if args.compare:
        from bench.cli.compare import print_comparison

        first, second = args.compare
        print_comparison(first, second, config.out, config.force)
        return OK
    if args.image:
        from bench.cli.explain import explain

        return FAILED if explain(args.image, args.box, config, command) else OK
    if args.table:
        from bench.cli.table import table_request
        from bench.paper.run import run_table

        return FAILED if run_table(*table_request(args.table, config, command)) else OK
    from bench.run.write import run

    return FAILED if run(*request_and_engine(config, command)) else OK
