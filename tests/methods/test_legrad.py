"""LeGrad against a float64 twin that runs block by block, and what it must not depend on."""

from __future__ import annotations

import pytest
import timm
import torch
import torchvision

from bench.core.classifier import Classifier
from bench.core.errors import Skip
from methods.legrad import legrad
from tests.toys import photo, toy_classifier

TARGETS = torch.tensor([0, 4])


def timm_vit(**options):
    torch.manual_seed(0)
    net = timm.create_model(
        "vit_tiny_patch16_224", img_size=64, depth=3, embed_dim=24, num_heads=2, num_classes=7, **options
    )
    torch.nn.init.normal_(net.head.weight, std=0.5)
    return Classifier(net, name="timm", layer="blocks[-1].norm1", input_size=64, dtype=torch.float64)


def torchvision_vit():
    torch.manual_seed(0)
    net = torchvision.models.VisionTransformer(64, 16, 3, 2, 24, 48, num_classes=7)
    torch.nn.init.normal_(net.heads.head.weight, std=0.5)
    return Classifier(net, name="torchvision", layer="encoder.layers[-1].ln_1", input_size=64, dtype=torch.float64)


def attended(block, x):
    """A pre-norm block of torchvision with its attention written out: tokens, and the attention (B, heads, T, T)."""
    own = block.self_attention
    q, k, v = torch.nn.functional.linear(block.ln_1(x), own.in_proj_weight, own.in_proj_bias).chunk(3, -1)
    split = lambda t: t.unflatten(-1, (2, 12)).transpose(1, 2)  # noqa: E731
    A = (split(q) @ split(k).mT / 12**0.5).softmax(-1)
    x = x + own.out_proj((A @ split(v)).transpose(1, 2).flatten(2))
    return x + block.mlp(block.ln_2(x)), A


def test_it_is_the_papers_mean_over_blocks_written_out():
    classifier, images = torchvision_vit(), photo(2, 64).double()
    net = classifier.net
    x = net._process_input(classifier._normalise(images))
    x = torch.cat([net.class_token.expand(2, -1, -1), x], 1) + net.encoder.pos_embedding
    expected = torch.zeros(2, 4, 4, dtype=torch.float64)
    for block in net.encoder.layers:
        x, A = attended(block, x.detach().requires_grad_())
        logits = net.heads(net.encoder.ln(x.mean(1)))
        (gradient,) = torch.autograd.grad(logits[0, 0] + logits[1, 4], A)
        expected += gradient.clamp(min=0).mean((1, 2))[:, 1:].reshape(2, 4, 4) / 3
    torch.testing.assert_close(legrad(classifier, images, TARGETS), expected)


@pytest.mark.parametrize("options", [{}, {"global_pool": "avg", "class_token": False}])
def test_timms_nets_have_it_and_images_of_a_batch_do_not_meet(options):
    classifier, images = timm_vit(**options), photo(2, 64).double()
    maps = legrad(classifier, images, TARGETS)
    assert maps.shape == (2, 4, 4)
    assert (maps > 0).any()
    torch.testing.assert_close(maps[1:], legrad(classifier, images[1:], TARGETS[1:]))
    assert not torch.allclose(maps, legrad(classifier, images, TARGETS.flip(0)))


def test_nets_without_a_list_of_attending_blocks_are_skipped():
    with pytest.raises(Skip):
        legrad(toy_classifier("gap_linear"), photo(1), torch.tensor([0]))
