"""What plug-ins and notebooks use of CAMBench, and its console script."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def check_shadowing() -> None:
    """Stop when a user's own `bench`, `methods` or `metrics` folder is imported in place of ours."""
    here = Path(__file__).resolve().parent
    for name in ("bench", "methods", "metrics"):
        spec = importlib.util.find_spec(name)
        found = [Path(path).resolve() for path in spec.submodule_search_locations or ()] if spec else []
        if here / name not in found:
            sys.exit(
                f"error: the folder {found[0] if found else name} shadows CAMBench's package {name!r}; "
                "rename it or start from another folder"
            )


check_shadowing()

import methods  # noqa: E402, F401 - registers the explainers
import metrics  # noqa: E402, F401 - registers the metrics
from bench.classifiers import load_classifier  # noqa: E402
from bench.cli.main import main  # noqa: E402
from bench.core.architecture import CLASSIFIERS, classifier  # noqa: E402
from bench.core.classifier import Classifier  # noqa: E402
from bench.core.dataset import DATASETS, Dataset, Sample, dataset, load_dataset  # noqa: E402
from bench.core.errors import Skip, UsageError  # noqa: E402
from bench.core.explainer import EXPLAINERS, Explainer, Passes, explainer  # noqa: E402
from bench.core.metric import METRICS, Case, Metric, Scores, Value, metric  # noqa: E402
from bench.core.protocols import PROTOCOLS, Protocol  # noqa: E402

__all__ = [
    "CLASSIFIERS", "DATASETS", "EXPLAINERS", "METRICS", "PROTOCOLS", "Case", "Classifier", "Dataset", "Explainer",
    "Metric", "Passes", "Protocol", "Sample", "Scores", "Skip", "UsageError", "Value", "classifier", "dataset",
    "explainer", "load_classifier", "load_dataset", "main", "metric",
]  # fmt: skip
