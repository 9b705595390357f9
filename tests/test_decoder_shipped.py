"""The decoders that come with the project: they are found, and they draw what their published rows were scored on."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bench.classifiers import load_classifier
from bench.cli import main
from methods.decoder import checkpoint

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "results" / "published" / "efficientnet_lite0-samples-clean"
METRICS = ["AD", "AG", "AI", "EP", "F1"]


def decoder_rows(folder: Path) -> pd.DataFrame:
    """The decoder's values by image, in the order of the metrics above."""
    rows = pd.concat(map(pd.read_parquet, sorted((folder / "scores").glob("*.parquet"))))
    return rows[rows.method == "decoder"].set_index("image").sort_index()[METRICS].astype(float)


def test_a_decoder_is_shipped_for_the_default_classifier_and_says_how_it_was_trained():
    classifier = load_classifier("efficientnet_lite0")
    facts = checkpoint.read_facts(checkpoint.shipped(classifier))
    assert facts.classifier_digest == classifier.digest
    assert "which the classifier was trained on too" in facts.trained_on
    assert {"loss", "regulariser", "seed", "epochs"} <= facts.recipe.keys()
    assert facts.cost["seconds"] > 0


def test_the_shipped_decoder_reproduces_its_stored_rows(tmp_path):
    command = [
        "--protocol",
        "clean",
        "--limit",
        "4",
        "--methods",
        "decoder",
        "--no-controls",
        "--metrics",
        ",".join(METRICS),
    ]
    assert main([*command, "--out", str(tmp_path)]) == 0
    again = decoder_rows(tmp_path)
    stored = decoder_rows(PUBLISHED).loc[again.index]
    assert len(again) == 4
    assert again.to_numpy() == pytest.approx(stored.to_numpy(), abs=2e-3)


def test_the_published_table_says_what_the_decoder_was_trained_on():
    table = pd.read_csv(PUBLISHED / "leaderboard.csv").set_index("method")
    assert "1000 images of ImageNet's training set" in table.loc["decoder", "trained_on"]
