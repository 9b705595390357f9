"""Maps of another explainer, stored to be imitated."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

import methods  # noqa: F401  registers the explainers
from bench.core.classifier import Classifier
from bench.core.errors import UsageError
from bench.core.explainer import EXPLAINERS, Explainer
from bench.core.files import write_atomic
from bench.core.seeds import forked_rng, seed_for
from bench.core.spec import Spec
from bench.data.maps import PrecomputedMaps
from methods.training.cache import Cache
from methods.training.photographs import Batch, Photographs, pixels_of


def stored_maps(
    folder: Path, teacher: str, photographs: Photographs, cache: Cache, classifier: Classifier
) -> PrecomputedMaps:
    """The maps FOLDER/ID.npy of all usable images; missing ones are computed by `teacher`, a spec such as `opti-cam`,
    for the classes in the cache, one image at a time. Raises UsageError when maps lack and no teacher is named."""
    folder.mkdir(parents=True, exist_ok=True)
    maps = PrecomputedMaps(folder)
    samples = photographs.dataset.samples
    todo = [i for i, sample in enumerate(samples) if i not in cache.broken and maps.missing([sample.id])]
    if todo and not teacher:
        raise UsageError(
            f"{folder} lacks {len(todo)} maps, {samples[todo[0]].id}.npy first; add --teacher opti-cam to compute them"
        )
    spec = EXPLAINERS.spec(teacher) if todo else None
    for i in tqdm(todo, f"maps of {teacher}", disable=not todo, dynamic_ncols=True):
        assert spec is not None
        write_npy(maps.path(samples[i].id), drawn(spec, cache(i), seed_for("teacher", samples[i].id), classifier))
    return maps


def drawn(spec: Spec[Explainer], known: Batch, seed: int, classifier: Classifier) -> Tensor:
    """(h, w) raw map of one image of the cache."""
    keywords = {"seeds": torch.tensor([seed])} if spec.value.seeded else {}
    image, target = pixels_of(known["images"][None], classifier), known["targets"][None].to(classifier.device)
    with forked_rng(seed):
        return spec.value.function(classifier, image, target, **spec.params, **keywords)[0].detach().float().cpu()


def write_npy(path: Path, values: Tensor) -> None:
    content = io.BytesIO()
    np.save(content, values.numpy())
    write_atomic(path, lambda temporary: temporary.write_bytes(content.getvalue()))
