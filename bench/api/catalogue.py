"""What is registered, as data frames and as functions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from bench.core.explainer import EXPLAINERS, Explainer
from bench.core.metric import METRICS
from bench.core.seeds import seed_for
from bench.core.spec import Spec, render
from bench.plugins import register
from bench.scoring.scorer import Scorer
from bench.scoring.sources import ExplainerSource


def list_methods() -> pd.DataFrame:
    """Every registered explainer: name (index), paper, source, control, passes, parameters.

    >>> list_methods().loc["grad-cam", "paper"]
    'Selvaraju et al. 2017, arXiv 1610.02391'
    """
    register()
    rows = [
        {
            "name": entry.name,
            "paper": entry.value.paper,
            "source": entry.value.origin,
            "control": entry.value.control,
            "passes": "by network" if callable(entry.value.passes) else str(entry.value.passes),
            "parameters": "; ".join(map(str, entry.parameters.values())),
        }
        for entry in EXPLAINERS
    ]
    return pd.DataFrame(rows).set_index("name")


def list_metrics() -> pd.DataFrame:
    """Every registered metric: name (index), title, better, kind, needs, paper.

    >>> list_metrics().loc["AD", "better"]
    'lower'
    """
    register()
    rows = [
        {"name": entry.name, **{fact: getattr(entry.value, fact) for fact in FACTS}} for entry in METRICS
    ]  # fmt: skip
    return pd.DataFrame(rows).set_index("name")


FACTS = ("title", "better", "kind", "needs", "paper")


@dataclass(frozen=True)
class BoundExplainer:
    """An explainer whose seeds and parameters are filled in: `cambench.explainers["smoothgrad(samples=20)"]`."""

    spec: Spec[Explainer]

    def __call__(
        self,
        classifier: Classifier,
        images: torch.Tensor,
        targets: torch.Tensor | Sequence[int] | int | None = None,
        *,
        seed: int = 0,
        **parameters: Any,
    ) -> torch.Tensor:
        """(B, 3, S, S) images in [0, 1] to (B, h, w) raw maps; the predicted classes are explained unless `targets` are
        given. Raises UsageError for an unknown parameter, and whatever the explainer raises."""
        spec = self.spec
        if parameters:
            given = {**spec.given, **parameters}
            spec = EXPLAINERS.spec(f"{spec.name}({','.join(f'{k}={render(v)}' for k, v in given.items())})")
        images = images.to(classifier.device, classifier.dtype)
        if images.ndim != 4 or images.shape[1] != 3:
            raise UsageError(f"images are (B, 3, S, S), not {tuple(images.shape)}")
        seeds = [seed_for(seed, digest(image), spec.key) for image in images]
        return ExplainerSource(spec).explain(classifier, images, classes(classifier, images, targets), seeds)


def classes(classifier: Classifier, images: torch.Tensor, targets: Any) -> torch.Tensor:
    """(B,) class indices on the classifier's device."""
    if targets is None:
        found = Scorer(classifier.exact, len(images)).score([images]).argmax(1)
    else:
        found = torch.as_tensor(targets, dtype=torch.int64).reshape(-1)
        found = found.expand(len(images)) if len(found) == 1 else found
    if len(found) != len(images):
        raise UsageError(f"{len(images)} images have {len(found)} targets")
    return found.to(classifier.device)


def digest(image: torch.Tensor) -> str:
    return hashlib.sha256(image.detach().float().cpu().contiguous().numpy().tobytes()).hexdigest()


class Explainers(Mapping[str, BoundExplainer]):
    """Registered explainers by name or spec, as functions."""

    def __getitem__(self, text: str) -> BoundExplainer:
        register()
        return BoundExplainer(EXPLAINERS.spec(text))

    def __iter__(self) -> Iterator[str]:
        register()
        return (entry.name for entry in EXPLAINERS)

    def __len__(self) -> int:
        register()
        return len(EXPLAINERS)


explainers = Explainers()
