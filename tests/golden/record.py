"""`python -m tests.golden.record`: write the golden run again, after a change that is meant to move it.

Say in CHANGELOG which rows moved and why.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import torch

ROOT = Path(__file__).parents[2]
FILE = Path(__file__).with_name("rows.csv")
METRICS = ("AD", "AG", "AI", "I", "D", "EP", "F1", "LE")
METHODS = (
    "ablation-cam", "cam", "decoder", "eigen-cam", "grad-cam", "grad-cam++", "gradient", "guided-backprop", "hires-cam",
    "input-x-gradient", "integrated-gradients", "layer-cam", "occlusion", "opti-cam", "smoothgrad", "xgrad-cam",
)  # fmt: skip
FACTS = ("method", "image", "target", "p", "right", "degenerate", "tied")


def golden_rows(out: Path) -> pd.DataFrame:
    """The stored rows of METHODS and all controls on three embedded photographs, by method and image: in one thread,
    and in a process of its own, where nobody has registered anything else."""
    asked = ["--limit", "3", "--batch-size", "3", "--metrics", ",".join(METRICS), "--device", "cpu", "--out", out]
    asked += ["--no-report", "--methods", ",".join(METHODS)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, ROOT / "run_benchmark.py", *asked]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    rows = pd.concat(pd.read_parquet(file) for file in sorted((out / "scores").glob("*.parquet")))
    rows = rows[["key", *FACTS, *METRICS]].assign(torch=torch.__version__)
    return rows.sort_values(["method", "image"], ignore_index=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        golden_rows(Path(folder)).to_csv(FILE, index=False, float_format="%.9g")
