"""Where maps come from."""

from __future__ import annotations

import pytest
import torch

import methods  # noqa: F401 - registers
from bench.core.errors import UsageError
from bench.core.explainer import EXPLAINERS
from bench.core.protocols import protocol
from bench.run.select_sources import choose_sources
from bench.scoring.sources import BoxMask, Item
from tests.toys import photo, toy_classifier


def item(*boxes: tuple[float, float, float, float]) -> Item:
    return Item("a", "digest", photo(1)[0], 0, torch.tensor(boxes) if boxes else None)


def test_the_box_oracle_is_the_union_of_the_boxes_inside_the_image():
    boxes = item((2.0, 3.0, 6.4, 5.0), (-4.0, 30.0, 3.0, 50.0))
    maps = BoxMask("box-oracle").maps(toy_classifier("gap_linear"), [boxes, item()], torch.tensor([0, 0]), 0)
    expected = torch.zeros(2, 32, 32)
    expected[0, 3:5, 2:6] = 1
    expected[0, 30:, :3] = 1
    assert torch.equal(maps, expected)


def test_the_box_context_is_the_rest_of_the_image_and_nothing_without_boxes():
    items = [item((2.0, 3.0, 6.4, 5.0)), item()]
    maps = BoxMask("box-context").maps(toy_classifier("gap_linear"), items, torch.tensor([0, 0]), 0)
    oracle = BoxMask("box-oracle").maps(toy_classifier("gap_linear"), items, torch.tensor([0, 0]), 0)
    assert torch.equal(maps[0], 1 - oracle[0])
    assert not maps[1].any()


def test_a_box_over_everything_still_tells_pixels_apart():
    everything = item((-1.0, -1.0, 40.0, 40.0))
    maps = BoxMask("box-oracle").maps(toy_classifier("gap_linear"), [everything], torch.tensor([0]), 0)
    assert maps.sum() == 32 * 32 - 1


def labels(text: str, **keywords) -> list[str]:
    return [source.label for source in choose_sources(text, **keywords)]


def test_all_is_every_explainer_once_and_controls_stand_last():
    found = labels("all")
    assert len(found) == len(set(found))
    controls = {entry.name for entry in EXPLAINERS if entry.value.control} | {"box-oracle", "box-context"}
    assert set(found[-len(controls) :]) == controls
    assert not [name for name in found if ":" in name]


def test_doubles_come_when_named_or_asked_for_as_a_group():
    assert "score-cam:pytorch-grad-cam" in labels("all,library")
    assert labels("score-cam:pytorch-grad-cam", controls=False) == ["score-cam:pytorch-grad-cam"]


def test_the_same_spec_twice_is_one_row():
    assert labels("grad-cam,grad-cam,opti-cam,opti-cam(steps=100)", controls=False) == ["grad-cam", "opti-cam"]


def test_a_capped_protocol_takes_the_cheaper_parameters_unless_the_user_chose():
    found = labels("opti-cam,integrated-gradients", protocol=protocol("quick"), controls=False)
    assert found == ["opti-cam(steps=10)", "integrated-gradients(steps=10)"]
    assert labels("opti-cam(steps=20)", protocol=protocol("quick"), controls=False) == ["opti-cam(steps=20)"]
    assert labels("opti-cam", protocol=protocol("clean"), controls=False) == ["opti-cam"]


def test_nothing_named_is_told():
    with pytest.raises(UsageError, match="names no method"):
        choose_sources("")


def test_only_explainers_that_draw_a_batch_at_once_are_filled_up():
    """A short batch of dear explanations must not cost a full one."""
    from bench.scoring.evaluate import ScoringContext, evaluate
    from bench.scoring.scorer import Scorer

    context = ScoringContext(toy_classifier("gap_linear"), protocol("clean"), 0, 8)
    items = [Item(str(i), str(i), image, 0, None) for i, image in enumerate(photo(3))]
    clean = Scorer(context.classifier, 8).score([i.image[None] for i in items])
    costs = {}
    for source in choose_sources("gradient,opti-cam(steps=2),integrated-gradients(steps=3)", controls=False):
        with context.classifier.tally() as tally:
            rows, maps = evaluate(context, source, items, clean, [])
        assert [row["image"] for row in rows] == list(maps) == ["0", "1", "2"]
        costs[source.label] = tally.forward
    assert costs == {"gradient": 8, "opti-cam(steps=2)": 9, "integrated-gradients(steps=3)": 9}
