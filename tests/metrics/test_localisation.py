"""Localisation metrics against plain-Python twins on sets of pixels, hand-made maps and libraries."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import box_iou

import metrics  # noqa: F401 - registers
from bench.core.metric import METRICS, Case, Scores
from bench.core.protocols import protocol
from bench.scoring.normalise import normalise
from metrics import regions
from metrics.ground_truth import true_boxes, union

MEAN = torch.tensor([0.485, 0.456, 0.406])
STD = torch.tensor([0.229, 0.224, 0.225])
SIZE = 32
INNER = (8, 10, 20, 26)
LEGACY = "clean+boxes=unclipped+axes=swapped"
SWITCHES = ["clean", "clean+axes=swapped", "clean+boxes=unclipped", LEGACY]
UNIT = ["F1", "BA", "SP", "EP", "EP-right", "GPG"]
"""Metrics in [0, 1] of which more is better."""


def case(saliency, boxes=(INNER,), name="clean", *, label=0, predicted=0, raw=None, image=None) -> Case:
    found = None if boxes is None else torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    image = torch.rand(3, *saliency.shape, generator=torch.Generator().manual_seed(5)) if image is None else image
    raw = saliency if raw is None else raw
    return Case(image, saliency, raw, 0, label, protocol(name), MEAN, 0, predicted, found)


def value(name: str, subject: Case | Scores) -> float:
    result = METRICS[name].value.function(subject)
    return float(getattr(result, "value", result))


def values(subject: Case, names=("LE", *UNIT)) -> dict[str, float]:
    return {name: value(name, subject) for name in names}


def filled(*boxes, size: int = SIZE) -> torch.Tensor:
    """The map that is 1 inside the boxes and 0 elsewhere."""
    saliency = torch.zeros(size, size)
    for x0, y0, x1, y1 in boxes:
        saliency[y0:y1, x0:x1] = 1
    return saliency


def inverted(box) -> torch.Tensor:
    """Zero on the box, also on its ends, which pointing counts in."""
    x0, y0, x1, y1 = box
    return 1 - filled((x0, y0, x1 + 1, y1 + 1))


def fake_cam(size: int = 224) -> torch.Tensor:
    saliency = torch.ones(size, size)
    saliency[0, 0] = 0
    return saliency


# The twins: sets of (row, column) pixels and lists of numbers, nothing of NumPy.


def slow_boxes(subject: Case) -> list[tuple[int, ...]]:
    size, kept = len(subject.map), []
    for numbers in subject.boxes.tolist():
        box = tuple(math.trunc(x) for x in numbers)
        if subject.protocol.boxes == "unclipped":
            kept.append(box)
            continue
        box = tuple(min(max(x, 0), size) for x in box)
        if pixels(box, size):
            kept.append(box)
    return kept


def pixels(box, size: int) -> set[tuple[int, int]]:
    x0, y0, x1, y1 = box
    return {(y, x) for y in range(y0, y1) for x in range(x0, x1) if 0 <= y < size and 0 <= x < size}


def area(box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def slow_largest(chosen: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """The largest 4-connected set of pixels, the first in reading order among equals."""
    largest, left = set(), set(chosen)
    for start in sorted(chosen):
        reached, todo = set(), [start]
        while todo:
            y, x = todo.pop()
            if (y, x) in left:
                left.remove((y, x))
                reached.add((y, x))
                todo += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
        if len(reached) > len(largest):
            largest = reached
    return largest


def slow_estimated(saliency: torch.Tensor) -> tuple[int, ...] | None:
    rows = saliency.double().tolist()
    mean = math.fsum(v for row in rows for v in row) / saliency.numel()
    region = slow_largest({(y, x) for y, row in enumerate(rows) for x, v in enumerate(row) if v > mean})
    if not region:
        return None
    ys, xs = {y for y, _ in region}, {x for _, x in region}
    return min(xs), min(ys), max(xs), max(ys)


def slow_error(subject: Case) -> float:
    estimated, size = slow_estimated(subject.map), len(subject.map)
    for box in slow_boxes(subject):
        if estimated and area(box) > 0:
            common = len(pixels(box, size) & pixels(estimated, size))
            if common / (area(estimated) + area(box) - common) > 0.5:
                return 0
    return 1


def slow_f1(subject: Case) -> float:
    rows, found = subject.map.double().tolist(), []
    total = math.fsum(v for row in rows for v in row)
    for box in slow_boxes(subject):
        inside = math.fsum(rows[y][x] for y, x in pixels(box, len(rows)))
        p, r = inside / (total + 1e-6), inside / area(box) if area(box) > 0 else 0
        found.append(2 * p * r / (p + r + 1e-6))
    return max(found)


def slow_box_accuracy(subject: Case) -> float:
    """On the corners of pixels that inclusive boxes cover, which go one beyond the image."""
    estimated, size = slow_estimated(subject.map), len(subject.map)
    if estimated is None:
        return 0
    x0, y0, x1, y1 = (min(max(x, 0), size) for x in slow_boxes(subject)[0])
    truth = pixels((x0, y0, x1 + 1, y1 + 1), size + 2)
    guess = pixels((estimated[0], estimated[1], estimated[2] + 2, estimated[3] + 2), size + 2)
    return float(len(truth & guess) / len(truth | guess) > 0.5)


def slow_pointing(subject: Case) -> float:
    rows = subject.map.tolist()
    top, low = max(map(max, rows)), min(map(min, rows))
    for y, row in enumerate(rows):
        for x, v in enumerate(row):
            across, down = (y, x) if subject.protocol.axes == "swapped" else (x, y)
            inside = any(b[0] <= across <= b[2] and b[1] <= down <= b[3] for b in slow_boxes(subject))
            if v == top > low and inside:
                return 1
    return 0


def slow_energy(subject: Case) -> float:
    rows, boxes, size = subject.map.double().tolist(), slow_boxes(subject), len(subject.map)
    total = math.fsum(v for row in rows for v in row)
    covered = set().union(*(pixels(box, size) for box in boxes))
    if subject.protocol.axes == "swapped":
        places = list(range(size))
        covered = {(y, x) for x0, y0, x1, y1 in boxes for y in places[x0:x1] for x in places[y0:y1]}
    return math.fsum(rows[y][x] for y, x in covered) / total if total else 0


TWINS = {
    "LE": slow_error, "F1": slow_f1, "BA": slow_box_accuracy, "SP": slow_pointing, "EP": slow_energy,
}  # fmt: skip


def random_case(seed: int, name: str) -> Case:
    """A map of a few grey levels with several components, one to three boxes, some of them beyond the image."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((1, 1, 4, 4))).float()
    smooth = F.interpolate(coarse, (14, 14), mode="bilinear", align_corners=True)[0, 0]
    saliency = ((smooth - smooth.min()) * 8).floor() / 8
    saliency = saliency / saliency.max()
    boxes = [(0.0, 0.0, 9.5, 9.5)]  # so that no image loses all of its boxes
    for _ in range(rng.integers(0, 3)):
        start, extent = rng.uniform(-8, 12, 2), rng.uniform(0.2, 16, 2)
        boxes.append((*start, *(start + extent)))
    rng.shuffle(boxes)
    return case(saliency, boxes, name)


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("metric", TWINS)
def test_a_metric_equals_its_slow_twin_under_every_switch(metric, name):
    found = []
    for seed in range(40):
        subject = random_case(seed, name)
        found.append(value(metric, subject))
        assert found[-1] == pytest.approx(TWINS[metric](subject), abs=1e-9), seed
    assert len(set(found)) > 1


@pytest.mark.parametrize("name", SWITCHES)
def test_the_right_energy_game_ignores_the_switches(name):
    for seed in range(20):
        subject = random_case(seed, name)
        assert value("EP-right", subject) == pytest.approx(slow_energy(random_case(seed, "clean")), abs=1e-12)


def test_the_estimated_box_is_that_of_opencvs_largest_component():
    for seed in range(30):
        saliency = torch.from_numpy(np.random.default_rng(seed).random((20, 25)))
        binary = (saliency > saliency.mean()).numpy().astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(binary, connectivity=4)
        sizes = stats[1:, cv2.CC_STAT_AREA]
        boxes = [tuple(row[:4]) for row in stats[1:][sizes == sizes.max()]]
        x0, y0, x1, y1 = regions.estimated_box(case(saliency))
        assert (x0, y0, x1 - x0 + 1, y1 - y0 + 1) in boxes


def test_overlap_equals_torchvisions():
    rng = np.random.default_rng(0)
    first, second = (np.concatenate([s, s + rng.integers(1, 20, (30, 2))], 1) for s in rng.integers(-9, 20, (2, 30, 2)))
    expected = box_iou(torch.from_numpy(first).double(), torch.from_numpy(second).double())
    assert np.allclose(regions.iou(first, second), expected, rtol=0, atol=1e-15)
    empty = np.array([[3, 3, 3, 9]])
    assert regions.iou(empty, empty) == 0


def test_coordinates_are_truncated_toward_zero():
    box = [(-0.9, 1.9, 5.9, 7.2), (-1.9, -3.2, 40.7, 32.0)]
    assert true_boxes(case(filled(INNER), box)).tolist() == [[0, 1, 5, 7], [0, 0, 32, 32]]
    unclipped = case(filled(INNER), box, "clean+boxes=unclipped")
    assert true_boxes(unclipped).tolist() == [[0, 1, 5, 7], [-1, -3, 40, 32]]


def test_boxes_without_a_pixel_in_the_image_are_dropped_or_kept_by_the_switch():
    outside, thin = (40, 5, 50, 20), (4.2, 4.0, 4.8, 9.0)
    assert true_boxes(case(filled(INNER), [outside, INNER, thin])).tolist() == [list(INNER)]
    assert true_boxes(case(filled(INNER), [outside, thin])) is None
    kept = true_boxes(case(filled(INNER), [outside, thin], LEGACY))
    assert kept.tolist() == [list(outside), [4, 4, 4, 9]]


def test_the_union_counts_a_pixel_once():
    assert union(np.array([[0, 0, 4, 4], [2, 2, 6, 6]]), (8, 8)).sum() == 16 + 16 - 4


def test_the_perfect_map_gives_the_best_values():
    found = values(case(filled(INNER)))
    assert found.pop("F1") == pytest.approx(1, abs=1e-6)
    assert found == {"LE": 0, "BA": 1, "SP": 1, "EP": 1, "EP-right": 1, "GPG": 1}


def test_the_inverted_map_gives_the_worst_values():
    assert values(case(inverted(INNER))) == {"LE": 1, **dict.fromkeys(UNIT, 0)}


def test_no_map_is_better_than_the_perfect_one_or_worse_than_the_inverted():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x0, y0 = rng.integers(0, 16, 2)
        box = (int(x0), int(y0), int(x0 + rng.integers(5, 16)), int(y0 + rng.integers(5, 16)))
        best, worst = values(case(filled(box), [box])), values(case(inverted(box), [box]))
        other = values(case(torch.from_numpy(rng.random((SIZE, SIZE))), [box]))
        assert best["LE"] <= other["LE"] <= worst["LE"]
        assert all(best[name] >= other[name] >= worst[name] for name in UNIT)


def test_one_corner_pixel_is_precise_but_finds_no_box():
    corner = filled((0, 0, 1, 1))
    box = (0, 0, 10, 10)
    found = values(case(corner, [box]))
    assert (found["LE"], found["BA"], found["SP"], found["EP"]) == (1, 0, 1, 1)
    assert found["F1"] == pytest.approx(2 * 0.01 / 1.01, abs=1e-5)
    assert values(case(corner, [(1, 1, 10, 10)]), ["SP", "EP", "F1"]) == {"SP": 0, "EP": 0, "F1": 0}


def test_a_constant_map_points_nowhere():
    assert values(case(torch.zeros(SIZE, SIZE))) == {"LE": 1, **dict.fromkeys(UNIT, 0)}
    ones = values(case(torch.ones(SIZE, SIZE)), ["LE", "BA", "SP"])
    assert ones == {"LE": 1, "BA": 0, "SP": 0}


def test_a_map_that_is_not_finite_scores_as_the_zero_map():
    broken = torch.full((1, 4, 4), float("nan"))
    maps, kinds = normalise(broken, SIZE, "positive")
    assert kinds == ["non-finite"]
    assert values(case(maps[0], raw=broken[0])) == {"LE": 1, **dict.fromkeys(UNIT, 0)}


def test_an_object_on_the_border_is_found():
    box = (20, 0, 32, 12)
    found = values(case(filled(box), [box]))
    assert found.pop("F1") == pytest.approx(1, abs=1e-6)
    assert found == {"LE": 0, "BA": 1, "SP": 1, "EP": 1, "EP-right": 1, "GPG": 1}


def test_of_several_boxes_the_best_counts_but_for_box_accuracy_the_first():
    other = (24, 2, 30, 8)
    subject = case(filled(INNER), [other, INNER])
    assert values(subject, ["LE", "BA", "SP", "EP"]) == {"LE": 0, "BA": 0, "SP": 1, "EP": 1}
    assert value("F1", subject) == pytest.approx(1, abs=1e-6)
    assert value("BA", case(filled(INNER), [INNER, other])) == 1


def test_overlapping_boxes_count_their_common_energy_once():
    subject = case(torch.ones(SIZE, SIZE), [(0, 0, 16, 32), (8, 0, 24, 32)])
    assert value("EP", subject) == 24 / 32


def test_a_box_partly_outside_loses_its_outside_or_counts_it_by_the_switch():
    """A map of 16 × 32 pixels on the visible half of a box of 32 × 32."""
    box, saliency = (-16, 0, 16, 32), filled((0, 0, 16, 32))
    # The estimated box has 15 · 31 = 465 pixels, all in the object: IoU 465/512, and 465/1024 with what is outside.
    assert value("LE", case(saliency, [box])) == 0
    assert value("LE", case(saliency, [box], LEGACY)) == 1
    assert value("F1", case(saliency, [box])) == pytest.approx(1, abs=1e-6)
    assert value("F1", case(saliency, [box], LEGACY)) == pytest.approx(2 / 3, abs=1e-6)
    assert value("EP", case(saliency, [box], "clean+boxes=unclipped")) == 1


def test_an_image_whose_boxes_lie_outside_has_no_value_or_the_worst_by_the_switch():
    subject = case(filled(INNER), [(40, 0, 60, 20)])
    assert all(map(math.isnan, values(subject).values()))
    legacy = values(case(filled(INNER), [(40, 0, 60, 20)], LEGACY))
    assert legacy == {"LE": 1, **dict.fromkeys(UNIT, 0)}


def test_swapped_axes_read_columns_as_rows():
    box, mirrored = (2, 20, 8, 30), (20, 2, 30, 8)
    for metric in ("SP", "EP"):
        assert value(metric, case(filled(mirrored), [box], "clean+axes=swapped")) == 1
        assert value(metric, case(filled(box), [box], "clean+axes=swapped")) == 0


def test_a_negative_start_wraps_under_the_legacy_switches():
    ones = torch.ones(SIZE, SIZE)
    assert value("EP", case(ones, [(-4, 0, 16, 32)], LEGACY)) == 0  # rows 28 to 16
    assert value("EP", case(ones, [(-4, 0, 30, 16)], LEGACY)) == 2 * 16 / SIZE**2  # rows 28 to 30
    assert value("EP-right", case(ones, [(-4, 0, 16, 32)], LEGACY)) == 0.5


def test_pointing_counts_the_ends_of_a_box_in():
    point = filled((12, 15, 13, 16))
    assert value("SP", case(point, [(2, 2, 12, 15)])) == 1
    assert value("SP", case(point, [(2, 2, 11, 15)])) == 0
    assert value("SP", case(point, [(12, 15, 30, 30)])) == 1


def test_pointing_tries_every_tied_maximum():
    assert value("SP", case(filled((0, 0, 2, 2), (30, 30, 31, 31)), [(28, 28, 32, 32)])) == 1


@pytest.mark.parametrize(
    ("box", "name", "error", "energy"),
    [
        # The estimated box has 223 · 223 = 49729 pixels.
        ((0, 0, 224, 112), "clean", 0, 25087 / 50175),  # 223·112 = 24976 of 49729 + 25088 − 24976: 0.5011
        ((0, 0, 224, 111), "clean", 1, 24863 / 50175),  # 223·111 = 24753 of 49729 + 24864 − 24753: 0.4966
        ((0, 112, 224, 224), "clean", 1, 25088 / 50175),  # 223·111 = 24753 of 49729 + 25088 − 24753: 0.4944
        ((-112, 0, 112, 224), "clean", 0, 25087 / 50175),  # as the first, turned
        ((-112, 0, 112, 224), "opticam-2024-loc", 1, 0),  # of 49729 + 50176 − 24976: 0.3333; rows 112 to 112
        ((-112, 10, 200, 50), "opticam-2024-loc", 1, 88 * 40 / 50175),
        ((0, 0, 224, 224), "opticam-2024-loc", 0, 1),  # 49729 of 50176
    ],
)
def test_fake_cam_on_boxes_computed_by_hand(box, name, error, energy):
    subject = case(fake_cam(), [box], name)
    assert regions.estimated_box(subject).tolist() == [0, 0, 223, 223]
    assert value("LE", subject) == error
    assert value("EP", subject) == pytest.approx(energy, abs=1e-12)


def test_fake_cams_f1_and_box_accuracy_by_hand():
    subject = case(fake_cam(), [(0, 0, 224, 112)])
    p, r = 25087 / 50175, 25087 / 25088
    assert value("F1", subject) == pytest.approx(2 * p * r / (p + r), abs=1e-6)
    assert value("BA", subject) == 1  # 225 · 113 of 225 · 225: 0.5022
    assert value("BA", case(fake_cam(), [(0, 0, 224, 111)])) == 0  # 225 · 112 of 225 · 225: 0.4978
    assert value("BA", case(fake_cam(), [(0, -300, 224, 112)], LEGACY)) == 1  # cut to the image in any case


def test_the_official_metric_also_needs_the_right_class():
    hit, missed = filled(INNER), 1 - filled(INNER)
    assert value("OM", case(hit, label=3, predicted=3)) == 0
    assert value("OM", case(hit, label=3, predicted=2)) == 1
    assert value("OM", case(missed, label=3, predicted=3)) == 1
    assert math.isnan(value("OM", case(hit, label=None)))
    assert value("LE", case(hit, label=None)) == 0


@pytest.mark.parametrize("name", ["LE", "OM", *UNIT])
def test_an_image_without_boxes_has_no_value(name):
    assert METRICS[name].value.needs == "boxes"
    assert math.isnan(value(name, case(filled(INNER), None)))


def test_values_do_not_depend_on_which_map_came_before():
    first, second = case(filled(INNER)), case(1 - filled(INNER))
    alone = [values(subject) for subject in (first, second)]
    assert [values(subject) for subject in (first, second, first)] == [*alone, alone[0]]


def test_a_map_is_segmented_once_for_all_metrics_and_images(monkeypatch):
    calls = []
    monkeypatch.setattr(regions, "label", lambda binary: calls.append(binary) or (binary.astype(np.int32), 1))
    first, other = case(filled(INNER)), case(1 - filled(INNER))
    for name in ("LE", "OM", "BA"):  # metric by metric over the cases of a chunk, as the harness asks
        for subject in (first, other):
            value(name, subject)
    assert len(calls) == 2
    for box in (INNER, (0, 0, 8, 8), (5, 5, 30, 30)):
        values(replace(case(filled(INNER), [box]), shared=first.shared), ["LE", "OM", "BA"])
    assert len(calls) == 2


# Saliency Metric


def crop_of(subject: Case) -> torch.Tensor:
    crops = torch.cat(list(METRICS["SM"].value.derive(subject)))
    assert len(crops) == METRICS["SM"].value.n_derived(subject.protocol) == 1
    return crops[0]


def scores(subject: Case, *probabilities: float) -> Scores:
    """The clean image's probabilities play no part, so they are impossible ones."""
    log_p = torch.tensor([probabilities], dtype=torch.float64).log()
    return Scores(torch.full((len(probabilities),), float("nan")), log_p, subject)


def test_the_crop_is_the_estimated_box_by_torchs_bicubic():
    subject = case(filled(INNER))
    x0, y0, x1, y1 = 8, 10, 19, 25  # one pixel short
    patch = subject.image[None, :, y0:y1, x0:x1]
    expected = F.interpolate(patch, (SIZE, SIZE), mode="bicubic", align_corners=False)[0]
    assert torch.allclose(crop_of(subject), expected, atol=1e-5)


def test_the_crop_of_pixels_is_the_crop_of_the_normalised_image():
    """OpenCV on (x − mean)/std, as the paper's code does, brought back to pixels; nothing is cut to [0, 1]."""
    image = torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)).round()
    mean, std = MEAN[:, None, None], STD[:, None, None]
    patch = ((image - mean) / std)[:, 10:25, 8:19].permute(1, 2, 0).double().numpy()
    resized = torch.from_numpy(cv2.resize(patch, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)).permute(2, 0, 1)
    found = crop_of(case(filled(INNER), image=image))
    assert torch.allclose(found.double(), resized * std + mean, atol=1e-5)
    assert found.max() > 1
    assert found.min() < 0


@pytest.mark.parametrize(
    "saliency", [torch.zeros(SIZE, SIZE), filled((3, 3, 4, 4)), filled((3, 3, 4, 9))], ids=["zero", "pixel", "line"]
)
def test_an_empty_box_shows_the_mean_colour(saliency):
    subject = case(saliency)
    assert torch.equal(crop_of(subject), MEAN[:, None, None].expand(3, SIZE, SIZE))
    assert value("SM", scores(subject, 0.25, 0.75)) == pytest.approx(math.log(0.05) - math.log(0.25))


def test_the_saliency_metric_by_hand():
    subject = case(filled((0, 0, 17, 17)), label=1)
    assert value("SM", scores(subject, 0.9, 0.1)) == pytest.approx(math.log(0.25) - math.log(0.1))
    whole = case(fake_cam(SIZE), label=1)
    assert value("SM", scores(whole, 0.5, 0.5)) == pytest.approx(math.log(31**2 / 32**2) - math.log(0.5))


def test_the_best_saliency_metric_is_a_small_box_that_suffices():
    best = value("SM", scores(case(filled((0, 0, 3, 3))), 1.0))
    assert best == pytest.approx(math.log(0.05))
    assert best < value("SM", scores(case(filled(INNER)), 1.0)) < value("SM", scores(case(fake_cam(SIZE)), 1.0))


def test_the_saliency_metric_has_no_value_without_label_or_boxes():
    assert math.isnan(value("SM", scores(case(filled(INNER), label=None), 0.5, 0.5)))
    assert math.isnan(value("SM", scores(case(filled(INNER), None), 0.5, 0.5)))
    assert math.isfinite(value("SM", scores(case(filled(INNER), [(40, 0, 60, 20)], LEGACY), 0.5, 0.5)))


# Grid Pointing Game


def grid_case(raw: torch.Tensor, box, size: int = SIZE) -> Case:
    return case(torch.rand(size, size), [box], "grid", raw=raw)


@pytest.mark.parametrize(("cells", "size"), [(2, 32), (3, 36)])
@pytest.mark.parametrize("scale", [1, 2, 5])
def test_a_uniform_map_gives_every_cell_its_share(cells, size, scale):
    side = size // cells
    for resolution in (cells * scale, 7):
        box = (0, side, side, 2 * side)
        assert value("GPG", grid_case(torch.ones(resolution, resolution), box, size)) == pytest.approx(1 / cells**2)


def test_only_positive_attribution_counts():
    raw = torch.tensor([[3.0, -50.0], [1.0, -2.0]])
    assert value("GPG", grid_case(raw, (0, 0, 16, 16))) == 0.75
    assert value("GPG", grid_case(raw, (16, 0, 32, 16))) == 0
    assert value("GPG", grid_case(-raw.abs(), (0, 0, 16, 16))) == 0
    assert value("GPG", grid_case(torch.tensor([[1.0, float("inf")], [0, 0]]), (0, 0, 16, 16))) == 0


def test_nothing_leaks_over_the_border_of_a_cell():
    """Upsampled, a map that fills one cell would blur into its neighbours."""
    raw = torch.zeros(4, 4)
    raw[:2, 2:] = torch.rand(2, 2) + 0.1
    assert value("GPG", grid_case(raw, (16, 0, 32, 16))) == 1
    assert all(value("GPG", grid_case(raw, box)) == 0 for box in [(0, 0, 16, 16), (0, 16, 16, 32), (16, 16, 32, 32)])
    upsampled = F.interpolate(raw[None, None], (SIZE, SIZE), mode="bilinear")[0, 0]
    assert upsampled[:16, 16:].sum() < 0.99 * upsampled.sum()


def test_a_border_through_the_raw_maps_pixels_is_drawn_on_the_upsampled_map():
    raw = torch.randn(7, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    rows = F.interpolate(raw.relu()[None, None], (SIZE, SIZE), mode="bilinear", align_corners=False)[0, 0].tolist()
    inside = math.fsum(rows[y][x] for y in range(16, 32) for x in range(16))
    expected = inside / math.fsum(v for row in rows for v in row)
    assert value("GPG", grid_case(raw, (0, 16, 16, 32))) == pytest.approx(expected, rel=1e-6)


def test_the_cells_shares_add_up_to_one():
    for resolution in (6, 7, 32, 64):
        raw = torch.randn(resolution, resolution, generator=torch.Generator().manual_seed(resolution))
        boxes = [(x, y, x + 16, y + 16) for x in (0, 16) for y in (0, 16)]
        assert sum(value("GPG", grid_case(raw, box)) for box in boxes) == pytest.approx(1)
