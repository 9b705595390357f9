"""`python -m methods.decoder.train`: train a saliency decoder."""

from __future__ import annotations

import sys

from methods.decoder.training.command import main

if __name__ == "__main__":
    sys.exit(main())
