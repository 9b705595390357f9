"""Maps from attention against float64 twins on a transformer whose attention is written out, and on real ones."""

from __future__ import annotations

import pytest
import timm
import torch
import torchvision
from torch import Tensor

from bench.core.classifier import Classifier
from bench.core.errors import Skip
from methods.attention import attention_rollout, generic_attention, raw_attention
from tests.toys import photo, toy_classifier

TARGETS = torch.tensor([0, 4])


def timm_vit(**options: object) -> Classifier:
    torch.manual_seed(0)
    net = timm.create_model(
        "vit_tiny_patch16_224", img_size=64, depth=3, embed_dim=24, num_heads=2, num_classes=7, **options
    )  # fmt: skip
    return Classifier(net, name="timm", layer="blocks[-1].norm1", input_size=64, dtype=torch.float64)


def torchvision_vit() -> Classifier:
    torch.manual_seed(0)
    net = torchvision.models.VisionTransformer(64, 16, 3, 2, 24, 48, num_classes=7)
    torch.nn.init.normal_(net.heads.head.weight, std=0.5)
    return Classifier(net, name="torchvision", layer="encoder.layers[-1].ln_1", input_size=64, dtype=torch.float64)


def by_hand(classifier: Classifier, images: Tensor) -> tuple[list[Tensor], Tensor]:
    """The attention of a timm net with its own code that has no fused kernel, and the logits."""
    found: list[Tensor] = []
    net = classifier._net
    handles = []
    for block in net.blocks:  # type: ignore[union-attr]
        block.attn.fused_attn = False
        handles.append(block.attn.attn_drop.register_forward_hook(lambda _, given, out: found.append(out)))
    logits = net(classifier._normalise(images))
    for handle in handles:
        handle.remove()
    for block in net.blocks:  # type: ignore[union-attr]
        block.attn.fused_attn = True
    return found, logits


def test_recorded_attention_is_the_nets_own_and_the_logits_stay() -> None:
    classifier, images = timm_vit(), photo(2, 64).double()
    found = classifier.attention(images)
    own, logits = by_hand(classifier, images)
    assert len(found.weights) == 3
    assert (found.prefix, found.side) == (1, 4)
    for recorded, theirs in zip(found.weights, own, strict=True):
        torch.testing.assert_close(recorded, theirs)
        torch.testing.assert_close(recorded.sum(-1), torch.ones_like(recorded[..., 0]))
    torch.testing.assert_close(found.logits, logits)
    torch.testing.assert_close(found.logits, classifier.logits(images))


def test_torchvisions_attention_is_that_of_its_projections() -> None:
    classifier, images = torchvision_vit(), photo(2, 64).double()
    found = classifier.attention(images)
    torch.testing.assert_close(found.logits, classifier.logits(images))
    layer = classifier._net.encoder.layers[0]  # type: ignore[union-attr]
    seen: list[Tensor] = []
    handle = layer.ln_1.register_forward_hook(lambda _, given, out: seen.append(out))
    classifier._net(classifier._normalise(images))
    handle.remove()
    q, k, _ = torch.nn.functional.linear(
        seen[0], layer.self_attention.in_proj_weight, layer.self_attention.in_proj_bias
    ).chunk(3, -1)
    heads = [(q[..., part] @ k[..., part].mT / 12**0.5).softmax(-1) for part in (slice(0, 12), slice(12, 24))]
    torch.testing.assert_close(found.weights[0], torch.stack(heads, 1))


@pytest.mark.parametrize("make", [timm_vit, torchvision_vit])
def test_rollout_is_the_product_of_half_identity_and_half_attention(make: object) -> None:
    classifier, images = make(), photo(2, 64).double()  # type: ignore[operator]
    weights = classifier.attention(images).weights
    for i, S in enumerate(attention_rollout(classifier, images, TARGETS)):
        flow = torch.eye(17).double()
        for A in weights:
            flow = (0.5 * A[i].mean(0) + 0.5 * torch.eye(17)) @ flow
        torch.testing.assert_close(flow.sum(1), torch.ones(17).double())
        torch.testing.assert_close(S, flow[0, 1:].view(4, 4))
    last = raw_attention(classifier, images, TARGETS)
    torch.testing.assert_close(last, weights[-1].mean(1)[:, 0, 1:].view(2, 4, 4))


def test_generic_attention_is_the_papers_rule_with_gradients_by_finite_differences() -> None:
    """The gradient of the logit by each attention weight of the last block, and the rule block by block."""
    classifier, images = timm_vit(), photo(1, 64).double()
    found = classifier.attention(images.requires_grad_())
    gradients = torch.autograd.grad(found.logits[0, 4], found.weights)
    relevance = torch.eye(17).double()
    for A, g in zip(found.weights, gradients, strict=True):
        mean = torch.stack([(A[0, h] * g[0, h]).clamp(min=0) for h in range(2)]).mean(0)
        relevance = relevance + mean @ relevance
    S = generic_attention(classifier, images.detach(), torch.tensor([4]))
    torch.testing.assert_close(S[0], relevance[0, 1:].view(4, 4).detach())

    last = classifier._net.blocks[-1].attn  # type: ignore[union-attr]
    last.fused_attn = False

    def logit_with(nudge: float) -> float:
        def change(module: object, given: object, out: Tensor) -> Tensor:
            moved = out.clone()
            moved[0, 1, 0, 5] += nudge
            return moved

        handle = last.attn_drop.register_forward_hook(change)
        result = classifier._net(classifier._normalise(images.detach()))[0, 4].item()
        handle.remove()
        return result

    slope = (logit_with(1e-5) - logit_with(-1e-5)) / 2e-5
    last.fused_attn = True
    assert gradients[-1][0, 1, 0, 5].item() == pytest.approx(slope, rel=1e-4)


def test_without_a_class_token_the_patches_look() -> None:
    classifier, images = timm_vit(class_token=False, global_pool="avg"), photo(2, 64).double()
    found = classifier.attention(images)
    assert (found.prefix, found.side) == (0, 4)
    expected = found.weights[-1].mean(1).mean(1).view(2, 4, 4)
    torch.testing.assert_close(raw_attention(classifier, images, TARGETS), expected)


@pytest.mark.parametrize("method", [raw_attention, attention_rollout, generic_attention])
def test_nets_without_attention_over_all_patches_are_skipped(method: object) -> None:
    images = photo(1)
    with pytest.raises(Skip, match="no self-attention over all"):
        method(toy_classifier("gap_linear"), images, TARGETS[:1])  # type: ignore[operator]
    torch.manual_seed(0)
    swin = torchvision.models.SwinTransformer([4, 4], 24, [2, 2], [2, 2], [4, 4], num_classes=7)
    windowed = Classifier(swin, name="swin", layer="features[-1][-1].norm2", input_size=64)
    with pytest.raises(Skip, match="swin"):
        method(windowed, photo(1, 64), TARGETS[:1])  # type: ignore[operator]
