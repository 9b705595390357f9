"""One thread for the whole suite: nets this small gain nothing from two, and lose much on busy cores."""

import torch

from bench.memory import keep_freed_memory

torch.set_num_threads(1)
keep_freed_memory()
