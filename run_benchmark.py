"""Rank explainers of an image classifier: `python run_benchmark.py --model resnet50 --methods all`."""

import sys

from bench.start import main

if __name__ == "__main__":
    sys.exit(main())
