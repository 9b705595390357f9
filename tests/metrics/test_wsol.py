"""Metrics of weakly supervised localisation against wsolevaluation's rules restated, plain loops and scikit-learn."""

from __future__ import annotations

import math
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score

import metrics  # noqa: F401 - registers
from bench.core.metric import METRICS, Case, Value
from bench.core.protocols import protocol
from bench.tables.panel import Panel

SIZE = 24
INNER = (6, 4, 15, 18)
MEAN = torch.tensor([0.485, 0.456, 0.406])


def case(saliency, boxes=(INNER,), mask=None, name="wsol-v2") -> Case:
    found = None if boxes is None else torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    image = torch.zeros(3, *saliency.shape)
    return Case(image, saliency, saliency, 0, 0, protocol(name), MEAN, 0, 0, found, mask)


def measured(name: str, subject: Case) -> Value:
    result = METRICS[name].value.function(subject)
    return result if isinstance(result, Value) else Value(result)


def pooled(name: str, *subjects: Case) -> float:
    return METRICS[name].value.pool(torch.stack([measured(name, subject).vector for subject in subjects]))


def filled(*boxes, level: float = 1.0, size: int = SIZE) -> torch.Tensor:
    saliency = torch.zeros(size, size)
    for x0, y0, x1, y1 in boxes:
        saliency[y0:y1, x0:x1] = level
    return saliency


def random_case(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((1, 1, 5, 5)))
    saliency = F.interpolate(coarse, (SIZE, SIZE), mode="bicubic", align_corners=False)[0, 0]
    saliency = (saliency - saliency.min()) / (saliency.max() - saliency.min())
    starts = rng.integers(-4, 10, (rng.integers(1, 4), 2))
    return case(saliency, np.concatenate([starts, starts + rng.integers(5, 25, starts.shape)], 1).tolist())


# MaxBoxAcc and MaxBoxAccV2


def inclusive_iou(a, b) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]) + 1, min(a[3], b[3]) - max(a[1], b[1]) + 1
    common = max(0, width) * max(0, height)
    size = [(x1 - x0 + 1) * (y1 - y0 + 1) for x0, y0, x1, y1 in (a, b)]
    return common / (sum(size) - common)


def slow_hits(subject: Case, overlap: float, every_contour: bool) -> list[float]:
    """A threshold at a time, with OpenCV's threshold."""
    image = np.floor(subject.map.double().numpy() * 255).astype(np.uint8)
    truth, hits = [[min(max(int(x), 0), SIZE) for x in box] for box in subject.boxes.tolist()], []
    for tau in np.arange(0, 1, 0.01):
        binary = cv2.threshold(image, int(tau * image.max()), 255, cv2.THRESH_BINARY)[1]
        contours, _ = cv2.findContours(binary, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
        if contours and not every_contour:
            contours = [max(contours, key=cv2.contourArea)]
        boxes = [cv2.boundingRect(contour) for contour in contours]
        boxes = [(x, y, min(x + w, SIZE - 1), min(y + h, SIZE - 1)) for x, y, w, h in boxes] or [(0, 0, 0, 0)]
        hits.append(float(any(inclusive_iou(a, b) >= overlap for a in boxes for b in truth)))
    return hits


def test_the_hits_equal_a_slow_loop_over_thresholds():
    found = []
    for seed in range(25):
        subject = random_case(seed)
        first, second = measured("MaxBoxAcc", subject), measured("MaxBoxAccV2", subject)
        assert first.vector.tolist() == slow_hits(subject, 0.5, False)
        assert second.vector.tolist() == [hit for d in (0.3, 0.5, 0.7) for hit in slow_hits(subject, d, True)]
        assert first.value == pytest.approx(first.vector.mean())
        assert second.value == pytest.approx(second.vector.mean())
        found += first.vector.tolist()
    assert 0.1 < np.mean(found) < 0.9


def test_the_perfect_map_is_hit_at_every_threshold_and_the_inverted_at_none():
    for name in ("MaxBoxAcc", "MaxBoxAccV2"):
        assert measured(name, case(filled(INNER))).value == 1
        assert pooled(name, case(filled(INNER))) == 1
    assert pooled("MaxBoxAcc", case(1 - filled(INNER))) == 0


def test_the_contours_of_a_hole_count_in_version_two():
    """The inverted map's hole is the object: its inner contour, one pixel outside, hits at every threshold."""
    assert pooled("MaxBoxAccV2", case(1 - filled(INNER))) == 1


def test_a_staircase_hits_from_its_step_on():
    """0.5 is 127 of 255: more than τ · 255 for τ ≤ 0.49."""
    saliency = filled((0, 0, 24, 24), level=0.5).maximum(filled(INNER))
    assert measured("MaxBoxAcc", case(saliency)).vector.tolist() == [0] * 50 + [1] * 50
    assert measured("MaxBoxAcc", case(saliency, [(0, 0, 24, 24)])).vector.tolist() == [1] * 50 + [0] * 50


def test_all_images_share_one_threshold():
    early, late = filled((0, 0, 24, 24), level=0.5).maximum(filled(INNER)), filled(INNER)
    box = [(0, 0, 24, 24)]
    assert pooled("MaxBoxAcc", case(early), case(early, box)) == 0.5
    assert pooled("MaxBoxAcc", case(early), case(late)) == 1
    assert pooled("MaxBoxAcc", case(early), case(early, box), case(late)) == pytest.approx(2 / 3)


def test_version_one_looks_at_the_largest_contour_and_version_two_at_all():
    small, large = (1, 1, 6, 6), (8, 8, 22, 22)
    subject = case(filled(small, large), [small])
    assert pooled("MaxBoxAcc", subject) == 0
    assert pooled("MaxBoxAccV2", subject) == 1


def test_version_two_averages_over_overlaps_each_with_its_own_threshold():
    """Inclusive: the estimated box has 20 · 20 = 400 cells, the object 10 · 20 = 200 of them, IoU 0.5."""
    subject = case(filled((0, 0, 19, 19)), [(0, 0, 9, 19)])
    assert measured("MaxBoxAccV2", subject).vector.tolist() == [1] * 200 + [0] * 100
    assert pooled("MaxBoxAccV2", subject) == pytest.approx(2 / 3)
    hits = torch.zeros(2, 3, 100)
    hits[:, 0, 10], hits[:, 1, 80], hits[0, 2, 40] = 1, 1, 1
    assert METRICS["MaxBoxAccV2"].value.pool(hits.flatten(1).double()) == pytest.approx((1 + 1 + 0.5) / 3)


def test_the_zero_map_has_the_box_of_one_pixel():
    for name in ("MaxBoxAcc", "MaxBoxAccV2"):
        assert measured(name, case(torch.zeros(SIZE, SIZE))).value == 0
        # Inclusive: 1 of 2 · 1 cells.
        assert measured(name, case(torch.zeros(SIZE, SIZE), [(0, 0, 1, 1)])).vector.sum() == 0
        assert torch.equal(
            measured("MaxBoxAcc", case(filled((0, 0, 24, 24)), [(0, 0, 24, 24)])).vector, torch.ones(100)
        )


def test_the_estimated_box_ends_at_the_last_pixel():
    """A whole map is the box 0, 0, 23, 23, 24 · 24 cells, against 25 · 12 inclusive cells of which 24 · 12 are common:
    288 of 588 is a miss, 24 · 13 of 25 · 13 + 576 − 312 a hit."""
    whole = filled((0, 0, 24, 24))
    assert measured("MaxBoxAcc", case(whole, [(0, 0, 24, 11)])).value == 0
    assert measured("MaxBoxAcc", case(whole, [(0, 0, 24, 12)])).value == 1


def test_values_beyond_one_do_not_overflow_eight_bits():
    """256 of 255 would be 0."""
    assert measured("MaxBoxAcc", case(filled(INNER, level=256.5 / 255))).value == 1


def test_pools_take_arrays_and_tensors_alike():
    vectors = torch.stack([measured("MaxBoxAcc", random_case(seed)).vector for seed in range(8)])
    assert METRICS["MaxBoxAcc"].value.pool(vectors) == METRICS["MaxBoxAcc"].value.pool(vectors.numpy())


@pytest.mark.parametrize("name", ["MaxBoxAcc", "MaxBoxAccV2", "PxAP"])
def test_a_table_pools_over_images(name):
    masks = torch.from_numpy(np.random.default_rng(0).random((12, SIZE, SIZE)) < 0.3).byte()
    subjects = [case(subject.map, subject.boxes.tolist(), masks[i]) for i in range(12) for subject in [random_case(i)]]
    vectors = torch.stack([measured(name, subject).vector for subject in subjects])
    panel = Panel(METRICS[name].value, ["one"], vectors[:, None].numpy(), np.ones(12), 0)
    cell = panel.cells()["one"]
    assert cell.value == pytest.approx(100 * pooled(name, *subjects))
    assert cell.low <= cell.value <= cell.high


# Zhou's box and ROC-AUC


def test_the_box_at_20_percent_is_the_largest_component_above_it():
    large, small = (2, 2, 12, 12), (16, 16, 20, 20)
    saliency = filled(large, level=0.21).maximum(filled(small))
    assert measured("BoxAcc20", case(saliency, [large])).value == 1
    assert measured("BoxAcc20", case(saliency, [small])).value == 0
    exact = filled(large, level=0.25).maximum(filled(small, level=1.25))
    assert measured("BoxAcc20", case(exact, [small])).value == 1


def test_the_box_at_20_percent_is_whole_and_half_an_overlap_is_a_hit():
    assert measured("BoxAcc20", case(filled((0, 0, 10, 10)), [(0, 0, 20, 10)])).value == 1
    assert measured("BoxAcc20", case(filled((0, 0, 10, 10)), [(0, 0, 21, 10)])).value == 0
    assert measured("BoxAcc20", case(filled((3, 3, 4, 4)), [(3, 3, 4, 4)])).value == 1


def test_the_box_at_20_percent_of_a_zero_map_misses_and_of_an_inverted_one_is_too_large():
    assert measured("BoxAcc20", case(torch.zeros(SIZE, SIZE))).value == 0
    assert measured("BoxAcc20", case(1 - filled(INNER))).value == 0
    assert measured("BoxAcc20", case(filled(INNER), [(30, 2, 40, 9), INNER])).value == 1


def test_auc_is_the_share_of_pairs_that_are_in_order():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        saliency = torch.from_numpy(rng.integers(0, 6, (8, 8)) / 5)
        mask = torch.from_numpy(rng.choice([0, 1, 255], (8, 8))).byte()
        pairs = [
            1.0 if v > w else 0.5 if v == w else 0.0
            for v in saliency[mask == 1].tolist()
            for w in saliency[mask == 0].tolist()
        ]
        assert measured("AUC", case(saliency, mask=mask)).value == pytest.approx(sum(pairs) / len(pairs))


def test_auc_is_one_for_the_perfect_map_zero_for_the_inverted_and_a_half_for_a_constant():
    mask = filled((2, 2, 9, 9)).byte()
    assert measured("AUC", case(filled((2, 2, 9, 9)), mask=mask)).value == 1
    assert measured("AUC", case(filled((2, 2, 9, 9)), mask=1 - mask)).value == 0
    assert measured("AUC", case(torch.zeros(SIZE, SIZE), mask=mask)).value == 0.5


def test_auc_takes_the_boxes_where_there_is_no_mask():
    boxes = [INNER, (0, 0, 3, 3), (-5, 20, 4, 40)]
    assert measured("AUC", case(filled(INNER, (0, 0, 3, 3), (0, 20, 4, 24)), boxes)).value == 1
    swapped = measured("AUC", case(filled(INNER), boxes, name="opticam-2024-loc"))
    assert swapped.value == measured("AUC", case(filled(INNER), boxes)).value


def test_auc_has_no_value_where_all_pixels_are_of_one_kind():
    saliency = filled(INNER)
    for mask in (torch.ones, torch.zeros):
        assert math.isnan(measured("AUC", case(saliency, mask=mask(SIZE, SIZE, dtype=torch.uint8))).value)
    assert math.isnan(measured("AUC", case(saliency, [(0, 0, 24, 24)])).value)
    assert math.isnan(measured("AUC", case(saliency, [(30, 0, 40, 24)], name="opticam-2024-loc")).value)


@pytest.mark.parametrize("name", ["MaxBoxAcc", "MaxBoxAccV2", "BoxAcc20", "AUC"])
def test_an_image_without_boxes_has_no_value_and_no_vector(name):
    assert METRICS[name].value.needs == "boxes"
    for boxes in (None, [(30, 0, 40, 24)]):
        found = measured(name, case(filled(INNER), boxes))
        assert math.isnan(found.value)
        assert found.vector is None


# PxAP


def mask_case(seed: int) -> Case:
    """Values in hundredths, so that every one has a bin of its own."""
    rng = np.random.default_rng(seed)
    saliency = torch.from_numpy(rng.integers(0, 101, (10, 10)) / 100)
    return case(saliency, mask=torch.from_numpy(rng.choice([0, 1, 255], (10, 10), p=[0.6, 0.3, 0.1])).byte())


def test_the_counts_are_of_object_and_background_pixels_by_bin():
    for seed in range(5):
        subject = mask_case(seed)
        counts = [[0] * 101, [0] * 101]
        for v, kind in zip(subject.map.flatten().tolist(), subject.mask.flatten().tolist(), strict=True):
            if kind != 255:
                counts[1 - kind][round(v * 100)] += 1
        assert measured("PxAP", subject).vector.tolist() == counts[0] + counts[1]


def test_values_between_two_edges_share_a_bin():
    saliency = torch.tensor([[0.0, 0.005], [0.0101, 0.999]], dtype=torch.float64)
    vector = measured("PxAP", case(saliency, mask=torch.ones(2, 2, dtype=torch.uint8))).vector
    assert {int(i): float(vector[i]) for i in vector.nonzero()} == {0: 2, 1: 1, 99: 1}


def test_pxap_equals_scikit_learn_on_the_pixels_themselves():
    subjects = [mask_case(seed) for seed in range(6)]
    for subject in subjects:
        kept = subject.mask != 255
        expected = average_precision_score(subject.mask[kept] == 1, subject.map[kept])
        assert measured("PxAP", subject).value == pytest.approx(expected, abs=1e-12)
    truth = torch.cat([subject.mask[subject.mask != 255] for subject in subjects])
    scores = torch.cat([subject.map[subject.mask != 255] for subject in subjects])
    assert pooled("PxAP", *subjects) == pytest.approx(average_precision_score(truth == 1, scores), abs=1e-12)


def test_pxap_equals_scikit_learn_on_weighted_bins_and_a_plain_sum():
    subjects = [mask_case(seed) for seed in range(6)]
    true, false = torch.stack([measured("PxAP", s).vector for s in subjects]).sum(0).reshape(2, -1)
    bins = np.tile(np.arange(101), 2)
    weighted = average_precision_score(np.repeat([1, 0], 101), bins, sample_weight=torch.cat([true, false]).numpy())
    assert pooled("PxAP", *subjects) == pytest.approx(weighted, abs=1e-12)

    points = [(0.0, 0.0)]
    for k in range(100, -1, -1):
        hits, others = float(true[k:].sum()), float(false[k:].sum())
        points.append((hits / float(true.sum()), hits / (hits + others)))
    plain = sum(precision * (recall - before) for (before, _), (recall, precision) in pairwise(points))
    assert pooled("PxAP", *subjects) == pytest.approx(plain, abs=1e-12)


def test_pxap_of_the_perfect_the_constant_and_the_inverted_map():
    mask = filled((0, 0, 12, 24)).byte()
    mask[20:] = 255
    assert measured("PxAP", case(filled((0, 0, 12, 24)), mask=mask)).value == 1
    assert measured("PxAP", case(torch.zeros(SIZE, SIZE), mask=mask)).value == 0.5
    assert measured("PxAP", case(filled((12, 0, 24, 24)), mask=mask)).value == 0.5
    worst = torch.linspace(0, 1, 100, dtype=torch.float64).reshape(10, 10)
    object_first = (torch.arange(100) < 10).reshape(10, 10).byte()
    best_to_worst = [
        measured("PxAP", case(m, mask=object_first)).value for m in (1 - worst, torch.zeros(10, 10), worst)
    ]
    assert best_to_worst == sorted(best_to_worst, reverse=True)
    assert best_to_worst[0] == 1


def test_images_weigh_by_their_pixels_not_alike():
    """A right image of 100 object pixels and a wrong one of 1 object pixel: nearly right together."""
    good = case(torch.ones(10, 10), mask=torch.ones(10, 10, dtype=torch.uint8))
    mask = torch.zeros(10, 10, dtype=torch.uint8)
    mask[0, 0] = 1
    bad = case(torch.zeros(10, 10), mask=mask)
    assert pooled("PxAP", good, bad) == pytest.approx(100 / 101 + 101 / 200 * 1 / 101)


def test_an_image_of_background_has_no_precision_of_its_own_but_counts_in_the_pool():
    empty = case(torch.ones(4, 4), mask=torch.zeros(4, 4, dtype=torch.uint8))
    full = case(torch.ones(4, 4), mask=torch.ones(4, 4, dtype=torch.uint8))
    assert math.isnan(measured("PxAP", empty).value)
    assert math.isnan(pooled("PxAP", empty))
    assert pooled("PxAP", empty, full) == 0.5


def test_pxap_has_no_value_and_no_vector_without_a_mask():
    assert METRICS["PxAP"].value.needs == "masks"
    found = measured("PxAP", case(filled(INNER)))
    assert math.isnan(found.value)
    assert found.vector is None
