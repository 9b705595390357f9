"""`python -m methods.castream.train`: train a stream beside a frozen network."""

from __future__ import annotations

import sys

from methods.castream.training.command import main

if __name__ == "__main__":
    sys.exit(main())
