"""`python -m methods.walls.train`: train a network that cannot see the lower rows of an image."""

from __future__ import annotations

import sys

from methods.walls.training.command import main

if __name__ == "__main__":
    sys.exit(main())
