"""`python -m bench.speed`."""

import sys

from bench.plugins import register
from bench.speed.run import main

if __name__ == "__main__":
    register()
    sys.exit(main())
