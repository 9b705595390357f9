"""Average Drop, Average Gain and Average Increase: the classifier's confidence in the masked image."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import torch

from bench.core.maps import equal_area
from bench.core.metric import Case, Scores, metric
from bench.core.protocols import Protocol

AREA = 0.3
CHATTOPADHYAY = "Chattopadhyay et al. 2018 (Grad-CAM++), arXiv 1710.11063"
ZHANG = "Zhang et al. 2024 (Opti-CAM), arXiv 2301.07002"


def masked_image(case: Case) -> Iterator[torch.Tensor]:
    """x · m + b · (1 − m): the map itself is the soft mask, on [0, 1] pixels; b is the protocol's masked-out fill."""
    mask = case.map.clamp(0, 1)
    yield (case.image * mask + case.filled(case.protocol.masked_out) * (1 - mask))[None]


def complement(case: Case) -> Iterator[torch.Tensor]:
    """x · (1 − m) + b · m: the image without what the map shows."""
    yield from masked_image(dataclasses.replace(case, map=1 - case.map.clamp(0, 1)))


def equally_wide(case: Case) -> Iterator[torch.Tensor]:
    """The masked image of the map brought to a mean of 0.3 (`bench.core.maps.equal_area`)."""
    yield from masked_image(dataclasses.replace(case, map=equal_area(case.map[None], AREA)[0]))


def one_image(protocol: Protocol) -> int:
    return 1


def log_probabilities(scores: Scores) -> tuple[float, float]:
    """(log p, log o): of the explained class for the image and for the masked image, float64."""
    return float(scores.untouched[scores.target]), float(scores.derived[0, scores.target])


@metric("AD", kind="score", better="lower", title="Average Drop", paper=CHATTOPADHYAY,
        derive=masked_image, n_derived=one_image, by_correctness=True, bounds=(0, 1))  # fmt: skip
def average_drop(scores: Scores) -> float:
    """max(0, p − o) / p, in [0, 1]; computed as max(0, 1 − exp(log o − log p)), so exact at p near 0. NaN for p = 0,
    from which nothing can drop.

    Known failure: the map that hides nothing wins: Fake-CAM has almost 0 (Poppi et al. 2021, arXiv 2104.10252).
    """
    log_p, log_o = log_probabilities(scores)
    if log_p == -math.inf:
        return math.nan
    return max(0.0, -math.expm1(min(0.0, log_o - log_p)))


@metric("AG", kind="score", better="higher", title="Average Gain", paper=ZHANG,
        derive=masked_image, n_derived=one_image, by_correctness=True, bounds=(0, 1))  # fmt: skip
def average_gain(scores: Scores) -> float:
    """max(0, o − p) / (1 − p), in [0, 1]; 0 when p = 1, where nothing can be gained.

    Known failure: methods that maximise the masked image's probability (Opti-CAM) win it by construction, also with
    a texture that only this network sees; `--judges` asks another one.
    """
    log_p, log_o = log_probabilities(scores)
    room = -math.expm1(log_p)
    return max(0.0, math.exp(log_o) - math.exp(log_p)) / room if room > 0 else 0.0


@metric("AI", kind="score", better="higher", title="Average Increase", paper=CHATTOPADHYAY,
        derive=masked_image, n_derived=one_image, by_correctness=True, rate=True)  # fmt: skip
def average_increase(scores: Scores) -> float:
    """1[o > p], strict, decided on float64 log-probabilities.

    Known failure: an increase of 1e-9 counts as one of 0.9: Fake-CAM, which changes one pixel, gets about one half.
    """
    log_p, log_o = log_probabilities(scores)
    return float(log_o > log_p)


@metric("AD@30", kind="score", better="lower", title="Average Drop at equal area", paper=CHATTOPADHYAY,
        derive=equally_wide, n_derived=one_image, bounds=(0, 1))  # fmt: skip
def average_drop_at_equal_area(scores: Scores) -> float:
    """AD of the map brought to a mean of 0.3 by a power of its values: it measures where the map points, and no
    monotone transform of the map changes it. Under a protocol with an area it still takes 0.3."""
    return average_drop(scores)


@metric("AG@30", kind="score", better="higher", title="Average Gain at equal area", paper=ZHANG,
        derive=equally_wide, n_derived=one_image, bounds=(0, 1))  # fmt: skip
def average_gain_at_equal_area(scores: Scores) -> float:
    """AG of the map brought to a mean of 0.3 by a power of its values: it measures where the map points, and no
    monotone transform of the map changes it. Under a protocol with an area it still takes 0.3."""
    return average_gain(scores)


@metric("AI@30", kind="score", better="higher", title="Average Increase at equal area", paper=CHATTOPADHYAY,
        derive=equally_wide, n_derived=one_image, rate=True)  # fmt: skip
def average_increase_at_equal_area(scores: Scores) -> float:
    """AI of the map brought to a mean of 0.3 by a power of its values: it measures where the map points, and no
    monotone transform of the map changes it. Under a protocol with an area it still takes 0.3."""
    return average_increase(scores)


@metric("ADD", kind="score", better="higher", title="Average Drop in Deletion",
        paper="Jung & Oh 2021 (LIFT-CAM), arXiv 2102.05228", derive=complement, n_derived=one_image,
        bounds=(0, 1))  # fmt: skip
def average_drop_in_deletion(scores: Scores) -> float:
    """max(0, p − o) / p of the image without what the map shows, in [0, 1]: AD of 1 − m, where more is better.

    Known failure: the map that shows everything wins: Fake-CAM takes all away.
    """
    return average_drop(scores)
