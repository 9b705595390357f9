"""Max-sensitivity and infidelity: does the map stay when the image hardly changes, and does it foretell changes?"""

from __future__ import annotations

from typing import Any

import torch

from bench.core.metric import Case, Explain, metric

YEH = "Yeh et al. 2019, arXiv 1901.09392"
SAMPLES, RADIUS = 10, 0.02
SQUARES, SIDES = 64, (1 / 14, 3 / 14)
"""Black squares that infidelity puts into the image, and their sides as shares of the image's."""


@metric("MAXSENS", kind="re-explain", better="lower", title="Max-sensitivity", paper=YEH, scale=1.0,
        bounds=(0, float("inf")))  # fmt: skip
def max_sensitivity(case: Case, explain: Explain, classifier: Any) -> float:
    """max over 10 images x' = x + u of ‖S(x') − S(x)‖ / ‖S(x)‖, u uniform in [−0.02, 0.02] per value, S the normalised
    map of the same class; 0 for a map of zeros.

    Captum's radius and number of samples. Maps of a seeded method draw the same random numbers for x and x'.

    Known failure: constant maps are the most stable.
    """
    norm = case.map.double().norm()
    if norm == 0:
        return 0.0
    generator = torch.Generator().manual_seed(case.seed % 2**63)
    target = torch.tensor([case.target], device=case.image.device)
    found = 0.0
    for _ in range(SAMPLES):
        noise = RADIUS * (2 * torch.rand(case.image.shape, generator=generator) - 1)
        near = (case.image + noise.to(case.image)).clamp(0, 1)
        found = max(found, float((explain(near[None], target)[0].double() - case.map.double()).norm() / norm))
    return found


@metric("INFD", kind="re-explain", better="lower", title="Infidelity, optimally scaled", paper=YEH,
        bounds=(0, 1))  # fmt: skip
@torch.no_grad()
def infidelity(case: Case, explain: Explain, classifier: Any) -> float:
    """min over β of Σ_i (β s_i − d_i)² / Σ_i d_i², in [0, 1]: s_i the map's sum over the i-th of 64 random squares, d_i
    what the class logit loses when the square is black. 1 − (Σ s d)² / (Σ s² Σ d²).

    The scaling β makes it independent of a map's scale (section 2 of the paper); squares have sides of 1/14 to 3/14 of
    the image's, from the case's seed, alike for every method. 1 for a map of zeros, 0 where no square matters.

    Known failure: black squares are shapes of their own, and the logit need not be additive in them.
    """
    generator = torch.Generator().manual_seed(case.seed % 2**63)
    height, width = case.map.shape
    shares = SIDES[0] + (SIDES[1] - SIDES[0]) * torch.rand(SQUARES, generator=generator)
    sides = (shares * height).round().long().clamp(min=1)
    top = (torch.rand(SQUARES, generator=generator) * (height - sides + 1)).long()
    left = (torch.rand(SQUARES, generator=generator) * (width - sides + 1)).long()
    rows, columns = (torch.arange(n)[None] for n in (height, width))
    down = (rows >= top[:, None]) & (rows < (top + sides)[:, None])
    across = (columns >= left[:, None]) & (columns < (left + sides)[:, None])
    hidden = (down[:, :, None] & across[:, None]).to(case.image.device)
    logit = classifier.score(case.image[None])[0, case.target].double()
    lost = [logit - classifier.score(case.image * ~part[:, None])[:, case.target].double() for part in hidden.split(16)]
    d = torch.cat(lost)
    s = (case.map.double() * hidden).sum((1, 2))
    if not d.square().sum() > 0:
        return 0.0
    scale = s.square().sum() * d.square().sum()
    return float((1 - (s * d).sum() ** 2 / scale).clamp(0, 1)) if scale > 0 else 1.0
