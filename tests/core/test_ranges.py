"""Numbers are checked at once: of parameters, protocol fields and flags."""

from __future__ import annotations

import math
import time
import typing
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
import torch

from bench.core.dataset import DATASETS
from bench.core.errors import Skip, UsageError
from bench.core.explainer import EXPLAINERS
from bench.core.metric import METRICS
from bench.core.protocols import protocol
from bench.core.ranges import Range, above, at_least, within
from bench.core.registry import Registry
from bench.core.spec import LATER, Parameter
from bench.run import build_request
from cambench import main
from methods.decoder.training import command as train
from tests.toys import photo, toy_classifier

HOSTILE = ("-1", "0", "nan", "inf", "-inf", str(10**12), "1e400", "-0.0")


def numeric(kind: Any) -> bool:
    return kind in (int, float) or any(numeric(option) for option in typing.get_args(kind))


def parameters(*registries: Registry[Any]) -> Iterator[tuple[Registry[Any], str, Parameter]]:
    """Every numeric parameter of our own entries."""
    for registry in registries:
        for entry in registry:
            if "/tests/" not in entry.origin:
                yield from ((registry, entry.name, p) for p in entry.parameters.values() if numeric(p.type))


SMALL = {"steps": 3, "samples": 4, "copies": 2}
"""In place of defaults that take long."""
KNOWN = list(parameters(EXPLAINERS, METRICS, DATASETS))
NAMES = [f"{name}-{parameter.name}" for _, name, parameter in KNOWN]


def test_the_parameters_that_the_issue_names_are_among_them():
    named = {"opti-cam-steps", "opti-cam-lr", "score-cam-chunk", "smoothgrad-samples", "smoothgrad-sigma", "grid-n",
             "occlusion-window", "occlusion-stride", "integrated-gradients-steps", "grad-cam-gamma"}  # fmt: skip
    assert named <= set(NAMES)


@pytest.mark.parametrize(("registry", "name", "parameter"), KNOWN, ids=NAMES)
def test_a_hostile_number_is_refused_at_once_or_means_something(registry, name, parameter):
    assert parameter.range, "every number of our own says what it may be"
    assert parameter.default in parameter.range
    assert f"({parameter.range})" in str(parameter)
    for text in HOSTILE:
        start = time.perf_counter()
        try:
            spec = registry.spec(f"{name}({parameter.name}={text})")
        except UsageError as error:
            message = str(error)
            assert time.perf_counter() - start < 1
            assert f"{parameter.name}={text!r} must be {parameter.range}" in message or "is not int" in message
            continue
        assert abs(spec.params[parameter.name]) < 10**6
        if registry is EXPLAINERS:
            draws(spec)


@pytest.mark.parametrize(("name", "parameter"), [(name, parameter) for _, name, parameter in parameters(EXPLAINERS)])
def test_the_smallest_value_and_the_default_draw_finite_maps(name, parameter):
    allowed = parameter.range
    low = math.nextafter(allowed.low, math.inf) if allowed.above else allowed.low
    for value in (low, parameter.default):
        text = str(int(value)) if parameter.type is int else repr(float(value))
        draws(EXPLAINERS.spec(f"{name}({parameter.name}={text})"))


def draws(spec) -> None:
    """The explainer draws finite maps with these parameters."""
    defaults = {name: parameter.default for name, parameter in spec.entry.parameters.items()}
    keywords = {k: SMALL[k] if k in SMALL and v == defaults[k] else v for k, v in spec.params.items()}
    if spec.value.seeded:
        keywords["seeds"] = torch.arange(2)
    net = toy_classifier("gap_linear")
    try:
        maps = spec.value.function(net, photo(2), torch.tensor([0, 4]), **keywords)
    except Skip:
        return  # it needs what no parameter gives
    assert maps.isfinite().all(), spec.label
    assert spec.value.cost(net, **spec.params).forward >= 0


def test_a_float_of_a_plug_in_is_finite_even_without_a_range():
    def plain(images, *, rate: float = 0.1, count: int = 3, width: int | None = None):
        return images

    registry: Registry = Registry("method")
    registry.add("plain", plain, signature_of=plain)
    assert registry.spec("plain(rate=-5,count=-5,width=none)").params == {"rate": -5.0, "count": -5, "width": None}
    for text in ("nan", "inf", "-inf", "1e400"):
        with pytest.raises(UsageError, match=r"rate='.*' must be any finite number; the parameter is rate"):
            registry.spec(f"plain(rate={text})")


def test_ranges_change_neither_keys_nor_labels_nor_the_mark_of_later_parameters():
    def bare(images, *, steps: int = 50, gamma: Annotated[float, LATER] = 1.0):
        return images

    def ranged(images, *, steps: Annotated[int, at_least(1)] = 50, gamma: Annotated[float, LATER, above(0)] = 1.0):
        return images

    registry: Registry = Registry("method")
    registry.add("bare", bare, signature_of=bare)
    registry.add("ranged", ranged, signature_of=ranged)
    for text in ("", "(steps=7)", "(gamma=1)", "(gamma=2,steps=50)"):
        one, other = registry.spec(f"bare{text}"), registry.spec(f"ranged{text}")
        assert other.key == one.key.replace("bare", "ranged")
        assert other.label == one.label.replace("bare", "ranged")
    assert str(registry["ranged"].parameters["steps"]) == "steps: int = 50 (at least 1)"
    with pytest.raises(UsageError, match=r"steps='0' must be at least 1; the parameter is steps: int = 50"):
        registry.spec("ranged(steps=0)")


@pytest.mark.parametrize(
    ("allowed", "text", "inside", "outside"),
    [
        (at_least(1), "at least 1", [1, 10**30], [0, -1, math.inf, math.nan]),
        (above(0), "above 0", [1e-300, 5], [0, -1, math.inf]),
        (above(0, 1), "above 0, at most 1", [1], [0, 1.01]),
        (within(0, 2**63 - 1), "from 0 to 9223372036854775807", [0, 2**63 - 1], [-1, 2**63]),
        (within(0.5, 2), "from 0.5 to 2", [0.5, 2.0], [0.49]),
        (Range(), "any finite number", [-1e300], [math.nan, -math.inf]),
    ],
)
def test_a_range_says_what_it_holds(allowed, text, inside, outside):
    assert str(allowed) == text
    assert all(value in allowed for value in inside)
    assert not any(value in allowed for value in outside)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seed", "-1"], "--seed must be from 0 to 9223372036854775807, not -1"),
        (["--seed", str(2**63)], f"--seed must be from 0 to 9223372036854775807, not {2**63}"),
        (["--batch-size", "1000000"], "--batch-size must be from 1 to 4096, not 1000000"),
        (["--batch-size", "0"], "--batch-size must be from 1 to 4096, not 0"),
        (["--limit", "0"], "--limit must be at least 1, not 0"),
        (["--skip", "-3"], "--skip must be at least 0, not -3"),
        (["--protocol", "clean+steps=100000000"], "protocol field steps must be from 1 to 16777216, not 100000000"),
        (["--protocol", "clean+steps=0"], "protocol field steps must be from 1 to 16777216, not 0"),
        (["--protocol", "quick+max_passes=-1"], "protocol field max_passes must be at least 0, not -1"),
        (["--methods", "opti-cam(steps=0)"], "method 'opti-cam': steps='0' must be from 1 to 100000; the parameter is "
         "steps: int = 100 (from 1 to 100000)"),
        (["--methods", "opti-cam(lr=nan)"], "method 'opti-cam': lr='nan' must be above 0, at most 1000; the parameter "
         "is lr: float = 0.1 (above 0, at most 1000)"),
    ],
)  # fmt: skip
def test_a_flag_out_of_range_is_one_line_before_a_network_is_loaded(flags, message, monkeypatch, capsys):
    monkeypatch.setattr(build_request, "load_classifier", lambda *args, **kwargs: pytest.fail("a network was loaded"))
    assert main([*flags, "--device", "cpu"]) == 2
    assert capsys.readouterr().err.strip() == f"error: {message}"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seed", "one"], "argument --seed: invalid int value: 'one'; --help lists the flags"),
        (["--batch-size", "1.5"], "argument --batch-size: '1.5' is neither a whole number nor auto; --help lists"),
        (["--methds", "grad-cam"], "unrecognized arguments: --methds grad-cam; did you mean '--methods'"),
    ],
)
def test_a_flag_that_cannot_be_read_is_one_line(flags, message, capsys):
    with pytest.raises(SystemExit) as exit:
        main(flags)
    assert exit.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--epochs", "0"], "argument --epochs: must be at least 1, not 0"),
        (["--lr", "nan"], "argument --lr: must be above 0, at most 1000, not nan"),
        (["--batch-size", "-1"], "argument --batch-size: must be from 1 to 4096, not -1"),
        (["--seed", "-1"], "argument --seed: must be from 0 to 9223372036854775807, not -1"),
        (["--width", "wide"], "argument --width: 'wide' is not a whole number"),
    ],
)
def test_a_training_checks_its_numbers_too(flags, message, capsys):
    with pytest.raises(SystemExit) as exit:
        train.main(["--out", "unused", *flags])
    assert exit.value.code == 2
    assert capsys.readouterr().err == f"error: {message}; --help lists the flags\n"


@pytest.mark.parametrize("flags", [["--target", "5000"], ["--protocol", "clean+target=5000"]])
def test_a_class_that_the_network_lacks_is_told_alike_by_flag_and_by_protocol(flags, capsys):
    assert main([*flags, "--methods", "grad-cam", "--limit", "1", "--device", "cpu"]) == 2
    assert "error: --target '5000' is not a class of efficientnet_lite0 (0 … 999)" in capsys.readouterr().err


def test_more_steps_than_the_input_has_pixels_are_refused(capsys):
    assert protocol("clean+steps=50177").steps == 224**2 + 1
    assert main(["--protocol", "clean+steps=50177", "--methods", "grad-cam", "--limit", "1", "--device", "cpu"]) == 2
    error = capsys.readouterr().err.strip()
    assert error == (
        "error: protocol field steps, for the pixels of efficientnet_lite0, must be from 1 to 50176, not 50177"
    )


def test_the_list_says_what_parameters_may_be(capsys):
    assert main(["--list"]) == 0
    shown = capsys.readouterr().out
    assert "steps: int = 100 (from 1 to 100000)" in shown
    assert "gamma: float = 1.0 (above 0, at most 100)" in shown
    assert "n: int = 2 (from 2 to 32)" in shown
