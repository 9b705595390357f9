"""One thread for the whole suite: nets this small gain nothing from two, and lose much on busy cores."""

import torch

from bench.process import prepare_process

torch.set_num_threads(1)
prepare_process()
