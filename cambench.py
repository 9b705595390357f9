"""The Python API of CAMBench, and what plug-ins import. Everything is imported when it is first used.

>>> import cambench as cb
>>> net = cb.load_classifier("efficientnet_lite0")
>>> net.layer
'bn2'
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any


def check_shadowing() -> None:
    """Stop when a user's own `bench`, `methods` or `metrics` folder would be imported in place of ours."""
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

import bench  # noqa: E402, F401 - sets what Ray reads when it is imported, by whomever

if TYPE_CHECKING:
    from bench.api.catalogue import explainers, list_methods, list_metrics
    from bench.api.classifiers import load_classifier
    from bench.api.compare import Comparison, compare
    from bench.api.data import load_dataset
    from bench.api.evaluate import evaluate
    from bench.api.explain import Explanation, explain
    from bench.api.results import Results, load_results
    from bench.cli.main import main
    from bench.core.architecture import CLASSIFIERS, classifier
    from bench.core.classifier import Classifier
    from bench.core.dataset import DATASETS, Dataset, Sample, dataset
    from bench.core.errors import Skip, UsageError
    from bench.core.explainer import EXPLAINERS, Explainer, Passes, explainer
    from bench.core.metric import METRICS, Case, Metric, Scores, Value, metric
    from bench.core.protocols import PROTOCOLS, Protocol
    from bench.run.config import RunConfig

WHERE = {
    "bench.api.catalogue": ("explainers", "list_methods", "list_metrics"),
    "bench.api.classifiers": ("load_classifier",),
    "bench.api.compare": ("Comparison", "compare"),
    "bench.api.data": ("load_dataset",),
    "bench.api.evaluate": ("evaluate",),
    "bench.api.explain": ("Explanation", "explain"),
    "bench.api.results": ("Results", "load_results"),
    "bench.cli.main": ("main",),
    "bench.core.architecture": ("CLASSIFIERS", "classifier"),
    "bench.core.classifier": ("Classifier",),
    "bench.core.dataset": ("DATASETS", "Dataset", "Sample", "dataset"),
    "bench.core.errors": ("Skip", "UsageError"),
    "bench.core.explainer": ("EXPLAINERS", "Explainer", "Passes", "explainer"),
    "bench.core.metric": ("METRICS", "Case", "Metric", "Scores", "Value", "metric"),
    "bench.core.protocols": ("PROTOCOLS", "Protocol"),
    "bench.run.config": ("RunConfig",),
}
MODULE_OF = {name: module for module, names in WHERE.items() for name in names}

__all__ = [
    "CLASSIFIERS", "DATASETS", "EXPLAINERS", "METRICS", "PROTOCOLS", "Case", "Classifier", "Comparison", "Dataset",
    "Explainer", "Explanation", "Metric", "Passes", "Protocol", "Results", "RunConfig", "Sample", "Scores", "Skip",
    "UsageError", "Value", "classifier", "compare", "dataset", "evaluate", "explain", "explainer", "explainers",
    "list_methods", "list_metrics", "load_classifier", "load_dataset", "load_results", "main", "metric",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
