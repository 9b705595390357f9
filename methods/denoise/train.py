"""`python -m methods.denoise.train`: train a network whose gradients explain it."""

from __future__ import annotations

import sys

from methods.denoise.training.command import main

if __name__ == "__main__":
    sys.exit(main())
