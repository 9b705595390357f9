"""The decoders that come with the project: they are found, and they draw what their published rows were scored on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from bench.classifiers.load import load_classifier
from bench.cli.main import main
from bench.core.explainer import EXPLAINERS
from methods.decoder import checkpoint
from tests.places import ROOT, SHARED

METRICS = ["AD", "AG", "AI", "EP", "F1"]


@dataclass(frozen=True)
class Shipped:
    """A classifier with a decoder, where rows of it are published, and the arguments that score some of them again."""

    model: str
    published: Path
    arguments: tuple[str, ...]
    weights: Path | None = None
    images: Path | None = None

    def skip_unless_there(self) -> None:
        if any(path and not path.exists() for path in (self.weights, self.images)):
            pytest.skip("no shared weights and images")

    @property
    def command(self) -> list[str]:
        given = ["--weights", f"{self.model}={self.weights}", "--data-root", str(self.images)] if self.weights else []
        return ["--model", self.model, *given, *self.arguments]


PUBLISHED = ROOT / "results" / "published"
LITE = Shipped("efficientnet_lite0", PUBLISHED / "efficientnet_lite0-samples-clean", ("--limit", "4"))
RESNET = Shipped(
    "resnet50", PUBLISHED / "decoder_study" / "resnet50-100", ("--data", "imagenet", "--skip", "300", "--limit", "2"),
    SHARED / "weights" / "resnet50.safetensors", SHARED / "data" / "imagenet-val-1000",
)  # fmt: skip

every_one = pytest.mark.parametrize("shipped", [LITE, RESNET], ids=lambda shipped: shipped.model)


def decoder_rows(folder: Path) -> pd.DataFrame:
    """The decoder's values by image, in the order of the metrics above."""
    rows = pd.concat(map(pd.read_parquet, sorted((folder / "scores").glob("*.parquet"))))
    return rows[rows.method == "decoder"].set_index("image").sort_index()[METRICS].astype(float)


@every_one
def test_a_decoder_is_shipped_and_says_how_it_was_trained(shipped):
    shipped.skip_unless_there()
    classifier = load_classifier(shipped.model, weights=shipped.weights)
    facts = checkpoint.read_facts(checkpoint.shipped(classifier))
    assert facts.classifier_digest == classifier.digest
    assert "which the classifier was trained on too" in facts.trained_on
    assert {"loss", "regulariser", "seed", "epochs"} <= facts.recipe.keys()
    assert facts.cost["seconds"] > 0


def test_the_second_recipe_is_shipped_too_and_its_companions_never_judge_it():
    classifier, source = load_classifier("efficientnet_lite0"), EXPLAINERS.spec("decoder(weights=panel)")
    facts = checkpoint.read_facts(checkpoint.shipped(classifier, "panel"))
    assert facts.classifier_digest == classifier.digest
    helpers = source.value.helpers(classifier, **source.params)
    assert load_classifier("efficientnet_lite1").digest in helpers
    assert len(helpers) == 2
    assert checkpoint.shipped(classifier.cut_at("blocks.4"), "panel") is None


@every_one
def test_the_shipped_decoder_reproduces_its_stored_rows(shipped, tmp_path):
    shipped.skip_unless_there()
    command = [*shipped.command, "--protocol", "clean", "--methods", "decoder", "--no-controls"]
    assert main([*command, "--metrics", ",".join(METRICS), "--out", str(tmp_path)]) == 0
    again = decoder_rows(tmp_path)
    stored = decoder_rows(shipped.published).loc[again.index]
    assert len(again) == int(shipped.arguments[-1])
    assert again.to_numpy() == pytest.approx(stored.to_numpy(), abs=2e-3)


@every_one
def test_the_published_table_says_what_the_decoder_was_trained_on(shipped):
    table = pd.read_csv(shipped.published / "leaderboard.csv").set_index("method")
    assert "images of ImageNet's training set" in table.loc["decoder", "trained_on"]
