"""`python -m methods.perception.train`: train the decoder that inverts a network's maps."""

from __future__ import annotations

import sys

from methods.perception.training.command import main

if __name__ == "__main__":
    sys.exit(main())
