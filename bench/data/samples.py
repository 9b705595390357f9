"""Twenty labelled photographs that an installed package brings along, with object boxes drawn by hand."""

from __future__ import annotations

from pathlib import Path

from torchvision.models import ResNet18_Weights

from bench.core.dataset import Dataset, Sample, dataset
from bench.core.errors import UsageError
from bench.data.boxes import with_boxes
from bench.data.packages import package_folder

BOXES = Path(__file__).with_name("samples_boxes.csv")


@dataset("samples")
def samples(root: Path | None, boxes: Path | None) -> Dataset:
    """The 20 photographs of ImageNet classes in foolbox 3.3.4 (MIT), `imagenet_NN_LABEL.jpg`, found without importing
    it; labels from the file names.

    Boxes (samples_boxes.csv) are drawn around every visible object of the class, parts that others hide not guessed.
    Photograph 12, labelled prayer rug, shows none: its boxes hold the two stained-glass windows that look like it.
    Raises UsageError when a root is given or the package is missing.
    """
    if root is not None:
        raise UsageError("data set 'samples' is built in and takes no --data-root; for your images use --data folder")
    files = sorted((package_folder("foolbox") / "data").glob("imagenet_*.jpg"))
    labelled = (Sample(file.stem, file, int(file.stem.rsplit("_", 1)[1])) for file in files)
    classes = tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])
    return Dataset("samples", with_boxes(labelled, boxes or BOXES), classes, protocol="quick")
