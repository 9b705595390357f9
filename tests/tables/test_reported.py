"""The papers' numbers beside ours: only where network, method, parameters and protocol are the paper's."""

from __future__ import annotations

import pandas as pd

import methods  # noqa: F401
from bench.core.explainer import EXPLAINERS
from bench.run.evidence import key_of
from bench.tables.paper_tables import FOLDER, reported

ROWS = ("grad-cam", "score-cam(variant=pytorch-grad-cam)", "grad-cam(gamma=0.5)", "eigen-cam")


def keys(*texts: str) -> dict[str, str]:
    return {text: EXPLAINERS.spec(text).key for text in texts}


def test_the_value_is_the_printed_one():
    printed = (
        pd.read_csv(FOLDER / "opticam-classification.csv", dtype=str).set_index(["model", "method", "metric"]).paper
    )
    found = reported("resnet50", "opticam-2024", keys(*ROWS), key_of)
    for ours, method in (("grad-cam", "Grad-CAM"), ("score-cam(variant=pytorch-grad-cam)", "Score-CAM")):
        for metric in ("AD", "AG", "AI", "I", "D"):
            assert found[ours, metric].value == printed["ResNet50", method, metric]
    assert {method for method, _ in found} == {"grad-cam", "score-cam(variant=pytorch-grad-cam)"}
    assert "Opti-CAM" in found["grad-cam", "AD"].paper


def test_another_network_protocol_or_parameter_has_none():
    assert not reported("resnet50", "clean", keys(*ROWS), key_of)
    assert not reported("resnet50", "opticam-2024+steps=14", keys(*ROWS), key_of)
    assert not reported("efficientnet_lite0", "opticam-2024", keys(*ROWS), key_of)
    assert not reported("resnet50", "opticam-2024", keys("grad-cam(gamma=0.5)"), key_of)
