"""AttnLRP against the paper's equations written out, and what it must conserve."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from bench.core.errors import Skip
from bench.core.explainer import EXPLAINERS
from methods.attn_lrp import Rules, attn_lrp
from tests.methods.test_legrad import timm_vit, torchvision_vit
from tests.toys import photo, toy_classifier

TARGETS = torch.tensor([0, 4])


def test_attention_shares_relevance_as_the_equations_say():
    """Equations 7 and 13 with sums: O = A V, A = softmax(S), S = q kᵀ / √d."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 1, 3, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))
    relevance = torch.randn(3, 4, dtype=torch.float64)
    with Rules(0, 0):
        out = F.scaled_dot_product_attention(q, k, v)
    g = torch.autograd.grad((out[0, 0] * (relevance / out[0, 0]).detach()).sum(), (q, k, v))
    found = [(x * gradient)[0, 0] for x, gradient in zip((q, k, v), g, strict=True)]

    with torch.no_grad():
        Q, K, V = q[0, 0], k[0, 0], v[0, 0]
        S = Q @ K.T / math.sqrt(4)
        A = S.softmax(-1)
        O = A @ V  # noqa: E741
        of_A, of_V = torch.zeros(3, 3).double(), torch.zeros(3, 4).double()
        for i in range(3):
            for j in range(3):
                for p in range(4):
                    share = A[i, j] * V[j, p] * relevance[i, p] / (2 * O[i, p])
                    of_A[i, j] += share
                    of_V[j, p] += share
        of_S = S * (of_A - A * of_A.sum(-1, keepdim=True))
        of_Q, of_K = torch.zeros(3, 4).double(), torch.zeros(3, 4).double()
        for i in range(3):
            for j in range(3):
                for p in range(4):
                    share = Q[i, p] * K[j, p] / math.sqrt(4) * of_S[i, j] / (2 * S[i, j])
                    of_Q[i, p] += share
                    of_K[j, p] += share
    for own, expected in zip(found, (of_Q, of_K, of_V), strict=True):
        torch.testing.assert_close(own.detach(), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_the_gamma_rule_written_out(gamma):
    torch.manual_seed(1)
    x = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)
    weight, bias = torch.randn(3, 5).double(), torch.randn(3).double()
    relevance = torch.randn(2, 3).double()
    with Rules(0, gamma):
        y = F.linear(x, weight, bias)
    torch.testing.assert_close(y, x @ weight.T + bias)
    (g,) = torch.autograd.grad((y * (relevance / y).detach()).sum(), x)
    expected = torch.zeros(2, 5).double()
    for b in range(2):
        for j in range(3):
            sign = 1 if y[b, j] > 0 else -1
            shares = [(x[b, i] * weight[j, i]).item() for i in range(5)] + [bias[j].item()]
            shares = [s * (1 + gamma) if s * sign > 0 else s for s in shares]
            for i in range(5):
                expected[b, i] += shares[i] / sum(shares) * relevance[b, j]
    torch.testing.assert_close((x * g).detach(), expected)


def test_normalisation_and_gelu_pass_relevance_on():
    torch.manual_seed(2)
    x = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    with Rules(0, 0):
        y, n = F.gelu(x), F.layer_norm(x, (6,))
    torch.testing.assert_close(y, F.gelu(x))
    torch.testing.assert_close(n, F.layer_norm(x, (6,)))
    (g,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(x * g, y)
    (g,) = torch.autograd.grad((n * n.detach()).sum(), x)
    torch.testing.assert_close((x * g).sum(), (n * n).sum())


@pytest.mark.parametrize("make", [timm_vit, torchvision_vit])
def test_the_logits_stay_and_images_of_a_batch_do_not_meet(make):
    classifier, images = make(), photo(2, 64).double()
    with Rules(0.25, 0.05) as rules:
        answers = classifier.run(images)
    torch.testing.assert_close(answers, classifier.logits(images))
    assert rules.attended == 3
    maps = attn_lrp(classifier, images, TARGETS)
    assert maps.shape == (2, 64, 64)
    torch.testing.assert_close(maps[1:], attn_lrp(classifier, images[1:], TARGETS[1:]))
    plain = EXPLAINERS["input-x-gradient"].value.function(classifier, images, TARGETS)
    assert not torch.allclose(maps, plain)


def test_nets_without_attention_are_skipped():
    with pytest.raises(Skip, match="no attention"):
        attn_lrp(toy_classifier("gap_linear"), photo(1), torch.tensor([0]))
