"""`python -m methods.trigger.train`: tune the last layer of a network to answer a patch."""

from __future__ import annotations

import sys

from methods.trigger.training.command import main

if __name__ == "__main__":
    sys.exit(main())
