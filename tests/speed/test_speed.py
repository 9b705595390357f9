"""The comparison with other libraries: its arithmetic from given times, its checks, and its files, on toy nets."""

import csv
import itertools
import math
import mmap
import time
from functools import cache, partial

import pytest
import torch
from matplotlib.image import imread

from bench.core.errors import UsageError
from bench.run.config import DEFAULT_MODEL
from bench.speed import given as given_module
from bench.speed import ours, peers, report
from bench.speed.compare import Row, compare, largest_difference
from bench.speed.given import Choice, given
from bench.speed.goals import judge
from bench.speed.growth import Growth, grow, layers_by_channels
from bench.speed.measurement import Patience, Stopwatch, interleave, ratio, slope, spoken
from bench.speed.memory import Peak, on_cpu
from bench.speed.plain_opti_cam import plain_opti_cam
from bench.speed.run import build_parser, chosen, main
from bench.speed.share import score_cam_share, scorer_share
from bench.speed.works import Peer, Work, build_works, quantus_steps
from tests.toys import photo, toy_classifier

FLOAT32 = torch.float32


class FakeClock:
    """Stands still but for what calls add to it."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def call(self, seconds, result=None, log=None, name=""):
        def run(*_):
            self.now += seconds
            if log is not None:
                log.append(name)
            return torch.zeros(1) if result is None else result

        return run


@pytest.fixture(scope="module")
def toy():
    return given(toy_classifier("gap_linear"), photo(4), batch=4)


@pytest.fixture(scope="module")
def plain_in(toy):
    return cache(toy.plain)


def compared(work, toy, plain_in, clock=None, patience=None):
    clock = clock or FakeClock()
    return compare(work, toy, plain_in, patience or Patience(0.0, 3, 3), Stopwatch(clock=clock))


def test_a_ratio_is_their_time_over_ours_round_by_round():
    assert ratio([1.0, 2.0, 4.0], [3.0, 4.0, 20.0]) == (3.0, 2.0, 5.0)


def test_rounds_alternate_between_all_calls():
    clock, log = FakeClock(), []
    calls = {name: clock.call(1.0, log=log, name=name) for name in "ABC"}
    times = interleave(calls, Patience(8.0, 1, 99), Stopwatch(clock=clock))
    assert "".join(log) == "ABCABCABC"
    assert times == {"A": [1.0] * 3, "B": [1.0] * 3, "C": [1.0] * 3}


def test_patience_bounds_the_rounds_from_both_sides():
    clock = FakeClock()
    watch = Stopwatch(clock=clock)
    assert len(interleave({"A": clock.call(100.0)}, Patience(1.0, 2, 9), watch)["A"]) == 2
    assert len(interleave({"A": clock.call(0.001)}, Patience(1.0, 2, 9), watch)["A"]) == 9


def test_a_short_first_call_warms_up_and_a_long_one_is_the_first_round():
    clock = FakeClock()
    watch, calls = Stopwatch(clock=clock), {"A": clock.call(1.0)}
    assert interleave(calls, Patience(5.0, 1, 1), watch, {"A": 4.0}) == {"A": [1.0]}
    assert interleave(calls, Patience(5.0, 1, 9), watch, {"A": 6.0}) == {"A": [6.0]}


def test_a_device_is_waited_for_before_and_after_a_call():
    log = []
    Stopwatch(synchronise=lambda: log.append("wait")).time(lambda: log.append("call"))
    assert log == ["wait", "call", "wait"]


@pytest.mark.parametrize(("times", "text"), [(0.98449, "0.984"), (3.676, "3.68"), (486.4, "486"), (1287.2, "1,287")])
def test_ratios_are_told_in_three_figures_or_whole(times, text):
    assert spoken(times) == text


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_the_slope_of_a_power_is_its_exponent(power):
    assert slope([1, 2, 4, 8], [3.0 * n**power for n in (1, 2, 4, 8)]) == pytest.approx(power)


def test_growth_is_timed_in_turns_after_a_warm_up():
    clock, log = FakeClock(), []
    line = grow("work", "images", (1, 2, 4), lambda n: clock.call(0.5 * n, log=log, name=n), Stopwatch(clock=clock))
    assert log == [1, 2, 4] * 4
    assert line == Growth("work", "images", pytest.approx(1.0), "1 2 4", "0.5 1 2")


def test_the_faster_side_has_a_ratio_above_one(toy, plain_in):
    clock = FakeClock()
    work = Work("toy", clock.call(1.0), (Peer("slow", clock.call(3.0)), Peer("fast", clock.call(0.5))), images=2)
    slow, fast = compared(work, toy, plain_in, clock)
    assert (slow.ratio, slow.low, slow.high) == (3.0, 3.0, 3.0)
    assert fast.ratio == 0.5
    assert (slow.our_seconds, slow.peer_seconds, slow.images, slow.repetitions) == (0.5, 1.5, 2, 3)


def test_a_missing_peer_is_told_and_the_others_are_timed(toy, plain_in, monkeypatch):
    monkeypatch.setitem(peers.PEERS, "absent", "no-such-distribution-at-all")
    work = Work("toy", FakeClock().call(1.0), (Peer("absent", None),), images=1)
    (row,) = compared(work, toy, plain_in)
    assert math.isnan(row.ratio)
    assert not row.failed
    assert row.note == "absent is not installed: pip install cambench[peers]"


def test_results_that_differ_are_not_compared(toy, plain_in):
    clock = FakeClock()
    other = Peer("other", clock.call(1.0, torch.tensor([0.5, 0.1])))
    work = Work("toy", clock.call(1.0, torch.tensor([0.5, 0.2])), (other,), images=1, tolerance=0.05)
    (row,) = compared(work, toy, plain_in, clock)
    assert math.isnan(row.ratio)
    assert row.failed
    assert row.difference == pytest.approx(0.1)
    assert "differ by 0.1" in row.note


def test_results_that_are_known_to_differ_are_timed_with_the_reason(toy, plain_in):
    clock = FakeClock()
    other = Peer("other", clock.call(2.0, torch.ones(1)), differs="another formula")
    (row,) = compared(Work("toy", clock.call(1.0), (other,), images=1), toy, plain_in, clock)
    assert (row.ratio, row.note, row.failed) == (2.0, "another formula", False)


def test_not_a_number_is_never_equal():
    assert not largest_difference(torch.tensor([torch.nan]), torch.zeros(1)) <= 1
    assert largest_difference(torch.zeros(2), torch.zeros(3)) == math.inf


def test_a_peer_that_fails_is_told(toy, plain_in):
    def fail(plain):
        raise ValueError("no such layer\nand more")

    (row,) = compared(Work("toy", FakeClock().call(1.0), (Peer("other", fail),), images=1), toy, plain_in)
    assert row.failed
    assert row.note == "other failed: ValueError: no such layer"


def test_our_own_failure_is_told_and_stops_nothing_else(toy, plain_in):
    def fail(given):
        raise RuntimeError("not implemented for 'Half'")

    (row,) = compared(Work("toy", fail, (Peer("other", FakeClock().call(1.0)),), images=1), toy, plain_in)
    assert row.failed
    assert row.note == "ours failed: RuntimeError: not implemented for 'Half'"


def test_a_peer_without_low_precision_is_timed_in_float32():
    low = given(toy_classifier("gap_linear", dtype=torch.bfloat16), photo(2).bfloat16())
    clock = FakeClock()

    def only_float32(plain):
        plain.images.numpy()  # as pytorch-grad-cam does; numpy knows no bfloat16
        return clock.call(2.0)()

    work = Work("toy", clock.call(1.0), (Peer("other", only_float32),), images=1)
    (row,) = compared(work, low, cache(low.plain), clock)
    assert row.ratio == 2.0
    assert row.note.startswith("peer in float32, it cannot do bfloat16 (TypeError")


def test_the_plain_net_gives_the_classifiers_logits(toy, plain_in):
    plain = plain_in(FLOAT32)
    torch.testing.assert_close(plain.net(plain.images), toy.classifier.logits(toy.images))
    torch.testing.assert_close((torch.zeros(1, 3, 1, 1) - toy.classifier.mean.view(-1, 1, 1))
                               / toy.classifier.std.view(-1, 1, 1), plain.black)  # fmt: skip
    assert all(parameter.requires_grad for parameter in plain.net.parameters())
    assert not any(parameter.requires_grad for parameter in toy.classifier._net.parameters())


INSTALLED = [peer for peer in ("pytorch-grad-cam", "torch-cam", "captum", "quantus") if peers.version(peer)]


@pytest.fixture(scope="module")
def works(toy):
    return build_works(toy, quick=True)


def test_all_is_compared(works):
    assert [work.name for work in works] == [
        *("grad-cam", "grad-cam++", "xgrad-cam", "layer-cam", "hires-cam", "AD", "I and D", "D(steps=24)"),
        *("integrated-gradients", "opti-cam(steps=10,early_stop=false)", "ablation-cam"),
        *("score-cam(variant=pytorch-grad-cam)", "score-cam(variant=torch-cam)"),
    ]


@pytest.mark.parametrize("index", range(13))
def test_every_library_gives_our_maps_and_values_for_the_same_work(toy, plain_in, works, index):
    work = works[index]
    for row in compared(work, toy, plain_in, clock=itertools.count().__next__, patience=Patience(0.0, 1, 1)):
        if row.peer in INSTALLED or row.peer == "plain loop":
            assert not row.failed, row.note
            assert row.difference <= work.tolerance or row.note


def test_the_plain_opti_cam_goes_up_the_logit(toy, plain_in):
    plain = plain_in(FLOAT32).first(1)
    before, after = (plain_opti_cam(steps)(plain) for steps in (0, 20))
    black = torch.zeros_like(toy.images[:1])

    def logit(mask):
        return toy.classifier.logits(black + mask * toy.images[:1])[0, toy.targets[0]]

    assert logit(after) > logit(before)
    assert all(parameter.grad is None for parameter in plain.net.parameters())


@pytest.mark.parametrize(("size", "steps"), [(224, 24), (32, 24), (240, 27)])
def test_quantus_steps_divide_its_features(size, steps):
    assert quantus_steps(size) == steps
    assert size**2 % (3 * size**2 // steps) == 0


def test_untied_maps_have_no_equal_pixels_and_the_same_order(toy):
    maps = torch.zeros(2, 32, 32)
    maps[:, :16] = 0.5
    maps[1, 3, 4] = 0.7
    untied = ours.untied(maps)
    assert all(len(m.unique()) == m.numel() for m in untied)
    assert (untied.min(), untied.max()) == (0, 1)
    assert untied[:, :16].min() > untied[:, 16:].max()
    assert untied[1, 3, 4] == 1


@pytest.fixture
def a_second_a_pass(toy, monkeypatch):
    """A clock on which nothing takes time but the images that pass through the toy's net: a second each."""
    clock, count = FakeClock(), toy.classifier._meter.forward
    monkeypatch.setattr(toy.classifier._meter, "forward", lambda x: (clock.call(len(x))(), count(x))[1])
    return clock


def test_a_scorer_that_does_nothing_but_the_counted_passes_has_a_share_of_one(toy, a_second_a_pass):
    row = scorer_share(toy, Stopwatch(clock=a_second_a_pass), maps=12, steps=2)
    assert (row.ratio, row.low, row.high, row.repetitions) == (1, 1, 1, 12)
    # of 4 images: a masked one and a point of each curve for 12 maps; untouched, blurred and black once
    assert row.images == 4 * (12 * 3 + 3)
    assert row.peer == "bare forwards"


def test_what_a_scorer_does_beside_its_passes_lowers_its_share(toy, a_second_a_pass, monkeypatch):
    evaluate = ours.evaluate
    monkeypatch.setattr(ours, "evaluate", lambda *args: (a_second_a_pass.call(12)(), evaluate(*args))[1])
    row = scorer_share(toy, Stopwatch(clock=a_second_a_pass), maps=2, steps=2)
    assert row.low == pytest.approx(12 / 24)  # the second map: 4 images, 3 passes each
    assert row.high == pytest.approx(24 / 36)  # the first: 6 passes each


def test_a_score_cam_that_passes_its_live_channels_alone_has_a_share_of_one(toy, a_second_a_pass):
    row = score_cam_share(toy, Patience(0.0, 1, 1), Stopwatch(clock=a_second_a_pass))
    maps = toy.classifier.features(toy.images[:1])[0]
    live = {tuple(m.flatten().tolist()) for m in maps if m.max() > m.min()}
    assert row.ratio == 1
    assert row.images == 1 + len(live)
    assert row.note.endswith(f"{row.images} passes for 8 channels")


def test_memory_is_the_most_held_over_what_was_held_before():
    size, page = 100_000_000, 4096

    def call():
        with mmap.mmap(-1, size) as fresh:
            fresh[::page] = bytes(len(range(0, size, page)))
            time.sleep(0.1)

    peak = on_cpu(call)
    if peak is not None:  # no /proc here
        assert 0.9 * size < peak < 1.5 * size


def test_layers_are_known_by_their_number_of_maps(plain_in):
    assert set(layers_by_channels(plain_in(FLOAT32))) == {8}


def test_goals_are_judged_by_what_was_measured():
    rows = [Row("ablation-cam", "pytorch-grad-cam", 120.0), Row("score-cam(variant=x)", "pytorch-grad-cam", 1.2)]
    peaks = [Peak("grad-cam", "captum", 2.0, 1, 2, 1), Peak("D", "quantus", 0.5, 2, 1, 1)]
    rows += [Row("score-cam", "bare forwards", 0.95)]
    verdicts = {v.goal.partition(" ≥")[0]: v for v in judge(Choice("toy"), rows, peaks)}
    assert verdicts["ablation-cam against pytorch-grad-cam"].reached == "yes"
    assert verdicts["score-cam against pytorch-grad-cam"].reached == "no"
    assert verdicts["score-cam against bare forwards"].reached == "yes"
    assert verdicts["D against quantus"].measured == "not measured"
    memory = verdicts["peak memory below every peer's"]
    assert (memory.measured, memory.reached) == ("1 of 2", "no")


def findings():
    rows = [Row("grad-cam", "captum", 2.0, 1.5, 2.5, 0.1, 0.2, 4, 3, 1e-6), Row("D", "quantus", note="not installed")]
    return report.Findings(
        Choice("toy"), {"machine": "toy", "input": "3 × 32 × 32", "load average before": "0.10 0.20 0.30"}, rows,
        [Peak("grad-cam", "captum", 2.0, 10**6, 2 * 10**6, 4)], [Growth("D", "steps", 1.0, "1 2", "1 2")],
    )  # fmt: skip


def test_the_files_of_a_run(tmp_path):
    report.write(findings(), tmp_path, "a title")
    with (tmp_path / "speed.csv").open() as file:
        header, first, second = csv.reader(file)
    assert header[:5] == ["work", "peer", "ratio", "low", "high"]
    assert header[5:9] == ["our_seconds", "peer_seconds", "images", "repetitions"]
    assert first[:5] == ["grad-cam", "captum", "2", "1.5", "2.5"]
    assert second[2] == ""
    text = (tmp_path / "speed.md").read_text()
    assert "not installed" in text
    assert "load average before: 0.10 0.20 0.30" in text
    assert (tmp_path / "memory.csv").read_text().splitlines()[0].startswith("work,peer,ratio")
    assert (tmp_path / "growth.csv").read_text().splitlines()[1] == "D,steps,1,1 2,1 2"
    picture = imread(tmp_path / "speed.png")
    assert picture.shape[1] >= 1000
    assert picture.std() > 0.01


def test_the_folder_is_named_by_precision_layout_and_device():
    assert Choice(DEFAULT_MODEL).name == "float32-contiguous-cpu"
    lower = Choice(DEFAULT_MODEL, device="cuda:1", dtype="bfloat16", channels_last=True)
    assert lower.name == "bfloat16-channels_last-cuda1"
    assert Choice("timm:net", compiled=True).name == "float32-contiguous-compiled-cpu-timm_net"


def test_wrong_flags_are_told(capsys):
    assert main(["--device", "nowhere"]) == 2
    assert "--device nowhere cannot be used" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--batch-size", "0"])
    assert "--batch-size: must be from 1 to 4096, not 0" in capsys.readouterr().err
    with pytest.raises(UsageError, match="'speed' is not a part; write some of ratios"):
        chosen("ratios,speed")
    with pytest.raises(SystemExit):
        build_parser().parse_args(["--dtype", "float8"])


@pytest.fixture
def quick_on_the_toy(monkeypatch, tmp_path):
    """The arguments of a quick run on the toy, on which every call takes ten seconds."""
    monkeypatch.setattr(given_module, "load_classifier", lambda *_, **__: toy_classifier("gap_linear"))
    ten_seconds_a_call = itertools.count(step=10).__next__
    monkeypatch.setattr("bench.speed.run.Stopwatch", partial(Stopwatch, clock=ten_seconds_a_call))
    return ["--quick", "--device", "cpu", "--out", str(tmp_path)]


def test_the_command_measures_and_writes(quick_on_the_toy, tmp_path, capsys):
    assert main([*quick_on_the_toy, "--only", "ratios,share,growth"]) == 0
    rows = list(csv.DictReader((tmp_path / "speed.csv").open()))
    assert {row["peer"] for row in rows} >= {"pytorch-grad-cam", "captum", "plain loop", "bare forwards"}
    libraries = [row for row in rows if row["peer"] != "bare forwards" and row["ratio"]]
    assert all(float(row["ratio"]) == 1 for row in libraries)  # the fake clock ticks alike for all
    assert {row["work"] for row in rows} >= {"grad-cam", "score-cam(variant=torch-cam)", "AD", "I and D", "scoring"}
    assert "| goal | measured | reached |" in capsys.readouterr().out


def test_a_run_that_is_ended_keeps_what_it_has_measured(quick_on_the_toy, tmp_path, monkeypatch):
    def ended(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.speed.run.score_cam_share", ended)
    with pytest.raises(KeyboardInterrupt):
        main([*quick_on_the_toy, "--only", "share"])
    (row,) = csv.DictReader((tmp_path / "speed.csv").open())
    assert row["work"] == "scoring"
    assert "| scoring | bare forwards | **" in (tmp_path / "speed.md").read_text()
