"""`python -m methods.decoder.study`: what each loss and each regulariser does to a decoder."""

from __future__ import annotations

import sys

from methods.decoder.training.study import main

if __name__ == "__main__":
    sys.exit(main())
