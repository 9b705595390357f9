"""Our explainers and metrics beside those of other libraries, in one run: `python -m bench.speed --help`."""
