"""Everything that registers: what is built in, what installed packages announce, and the user's files."""

from __future__ import annotations

from collections.abc import Sequence

import bench.classifiers  # noqa: F401 - importing a package registers what it holds
import bench.data  # noqa: F401
import methods  # noqa: F401
import metrics  # noqa: F401
from bench.core.architecture import CLASSIFIERS
from bench.core.dataset import DATASETS
from bench.core.explainer import EXPLAINERS
from bench.core.metric import METRICS
from bench.core.user_code import load_file


def register(files: Sequence[str] = ()) -> None:
    """Fill the registries: entry points of installed packages, then files. Raises UsageError for what cannot be
    imported."""
    for registry in (EXPLAINERS, METRICS, CLASSIFIERS, DATASETS):
        registry.load_entry_points()
    for file in files:
        load_file(file)
