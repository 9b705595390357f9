"""Data sets, their manifest, and the way from a file to pixels. Importing this registers the built-in data sets."""

from bench.core.dataset import load_dataset
from bench.data import coco, folder, grid, imagenet, samples, voc
from bench.data.manifest import build_manifest
from bench.data.maps import PrecomputedMaps
from bench.data.pixels import ImageProblem, load_image, map_boxes, open_image
from bench.data.selection import select

__all__ = [
    "ImageProblem",
    "PrecomputedMaps",
    "build_manifest",
    "coco",
    "folder",
    "grid",
    "imagenet",
    "load_dataset",
    "load_image",
    "map_boxes",
    "open_image",
    "samples",
    "select",
    "voc",
]
