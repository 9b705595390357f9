"""The cascading randomisation, with decoders trained again at each step.

`python -m methods.decoder.training.retrained RUNS` prints a table.

RUNS has `NAME/decoder.safetensors` for `learnt`, the net as it is, and for every net of `randomised.py`, all of one
recipe. A row: the rank correlation over pixels between the maps for the class that the net as it is predicts, mean over
the sample photographs and 95 % interval; beside it that of Grad-CAM's maps. A constant map on either side gives 0.
"""

import sys
from pathlib import Path

import numpy as np
import torch

import methods  # noqa: F401
from bench.classifiers.load import load_classifier
from bench.core.dataset import load_dataset
from bench.core.explainer import EXPLAINERS
from bench.data.pixels import load_image
from bench.scoring.normalise import normalise
from bench.tables.statistics import mean_interval
from metrics.randomisation import rank_correlation

NETS = Path(__file__).with_name("randomised.py")


def maps_of(net: str, spec: str, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    chosen = EXPLAINERS.spec(spec)
    raw = chosen.value.function(load_classifier(net), images, targets, **chosen.params)
    return normalise(raw, images.shape[-1], "positive")[0]


def row(name: str, pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> str:
    cells = []
    for before, after in pairs:
        found = np.array([rank_correlation(b, a) for b, a in zip(before, after, strict=True)])
        low, high = mean_interval(found, (-1.0, 1.0))
        cells.append(f"{found.mean():.2f} [{low:.2f}, {high:.2f}]")
    return f"| {' | '.join([name, *cells])} |"


def main(runs: Path) -> None:
    samples = load_dataset("samples").samples
    images = torch.stack([load_image(sample, "resize-crop", 224, "bicubic") for sample in samples])
    targets = load_classifier("efficientnet_lite0").logits(images).argmax(1)
    learnt = [maps_of("efficientnet_lite0", spec, images, targets) for spec in specs(runs, "learnt")]
    print("| drawn again | decoder trained again | Grad-CAM |\n| --- | --- | --- |")
    for name in ("head", "top", "half", "lite0"):
        changed = [maps_of(f"{NETS}:{name}", spec, images, targets) for spec in specs(runs, name)]
        print(row(name, list(zip(learnt, changed, strict=True))), flush=True)


def specs(runs: Path, name: str) -> list[str]:
    return [f"decoder(weights={runs / name / 'decoder.safetensors'})", "grad-cam"]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
