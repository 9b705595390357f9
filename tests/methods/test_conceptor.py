"""Conceptors against Jaeger's definitions on hand-made matrices, and the map they give against its CAM."""

from __future__ import annotations

import torch

from methods.conceptor import conceptor, conceptor_inspired, conjunction, negation, within_span
from methods.sharpen_focus import sharpen_focus
from tests.toys import photo, toy_classifier

TARGETS = torch.tensor([0, 4, 6])


def test_a_conceptors_singular_values_are_those_of_the_definition() -> None:
    """Rows along the axes with mean squares 4, 1 and 0: s / (s + aperture⁻²)."""
    X = torch.tensor([[4.0, 0, 0], [0, 2.0, 0], [0, 0, 0], [0, 0, 0]]).double()[None]
    C = conceptor(X, aperture=0.5)[0]
    torch.testing.assert_close(C, torch.diag(torch.tensor([4 / 8, 1 / 5, 0.0]).double()))
    torch.testing.assert_close(negation(C), torch.diag(torch.tensor([4 / 8, 4 / 5, 1.0]).double()))


def test_and_is_the_definition_and_commutes() -> None:
    generator = torch.Generator().manual_seed(0)
    C, B = (conceptor(torch.randn(1, 9, 5, generator=generator).double(), 2.0)[0] for _ in range(2))
    both = conjunction(C, B)
    expected = torch.linalg.inv(torch.linalg.inv(C) + torch.linalg.inv(B) - torch.eye(5))
    torch.testing.assert_close(both, expected)
    torch.testing.assert_close(both, conjunction(B, C))
    for one in (C, B):  # AND is at most either of them
        assert torch.linalg.eigvalsh(one - both).min() > -1e-9


def test_what_speaks_against_the_class_is_taken_out() -> None:
    """Three directions: for, against, and both."""
    a = torch.eye(3).double().repeat(4, 1)
    w = torch.tensor([[2.0, 0, 0], [0, -2.0, 0], [0, 0, 2.0], [0, 0, -2.0]]).double().repeat_interleave(3, 0)
    kept = within_span(a, w, aperture=100.0, negative=True)
    strength = [kept[i, i].item() for i in range(3)]
    assert strength[0] > 0.9
    assert abs(strength[1]) < 0.05
    assert strength[2] < 0.6 * strength[0]


def test_without_negative_evidence_a_wide_aperture_gives_the_cam_back() -> None:
    classifier, images = toy_classifier("deep_head", dtype=torch.float64), photo(3).double()
    drawn = conceptor_inspired(
        classifier, images, TARGETS, weights="sharpen-focus", negative=False, aperture=1e4
    )  # fmt: skip
    cam = sharpen_focus(classifier, images, TARGETS)
    for ours, theirs in zip(drawn, cam, strict=True):
        assert torch.corrcoef(torch.stack([ours.flatten(), theirs.flatten()]))[0, 1] > 0.999
