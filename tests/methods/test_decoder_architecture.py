"""The decoder as a network, as a file and as an explainer."""

from __future__ import annotations

import dataclasses
import json

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import nn

import tests.test_conformance as contract
from bench.core.errors import Skip, UsageError
from bench.core.explainer import Passes
from bench.core.seeds import forked_rng
from methods.decoder import checkpoint
from methods.decoder.architecture import Decoder, DecoderConfig, min_max
from methods.decoder.explainer import decoder as explain
from methods.decoder.explainer import passes
from methods.decoder.reading import configure, read
from methods.grad_cam_family import grad_cam
from tests.toys import SIZE, TOYS, photo, toy_classifier

CONDITIONINGS = ("none", "cam", "gradient", "selector")
TARGETS = torch.tensor([0, 4, 6])


def built(config, seed=0, untrained=False):
    """A decoder whose last convolution is drawn too, unless it is to be as before any training."""
    with forked_rng(seed):
        decoder = Decoder(config)
        if not untrained:
            nn.init.normal_(decoder.last.weight, std=0.1)
    return decoder.eval()


def drawn(decoder, classifier, images, targets=None):
    reading = read(classifier, decoder.config, images, targets)
    with torch.no_grad():
        return decoder(reading)


def saved(path, classifier, decoder, **changes):
    facts = checkpoint.Facts(decoder.config, classifier.name, classifier.digest, "toys", {"seed": 0}, {"seconds": 1.5})
    path.write_bytes(checkpoint.to_bytes(decoder, dataclasses.replace(facts, **changes)))
    return path


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
@pytest.mark.parametrize("kind", TOYS)
def test_maps_lie_in_0_1_at_the_size_of_the_image_for_any_classifier(kind, conditioning):
    classifier = toy_classifier(kind)
    for residual in (True, False):
        decoder = built(configure(classifier, width=16, conditioning=conditioning, residual=residual))
        maps = drawn(decoder, classifier, photo(3), TARGETS)
        assert maps.shape == (3, SIZE, SIZE)
        assert maps.min() >= 0
        assert maps.max() <= 1
        assert (maps.amax((1, 2)) - maps.amin((1, 2)) > 1e-3).all()


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
@pytest.mark.parametrize("kind", ["gap_linear", "deep_head", "signed_features", "tokens"])
def test_the_untrained_residual_decoder_draws_grad_cam(kind, conditioning):
    """From its minimum to its maximum, as protocols show it: the very map, so that no metric can tell them apart."""
    classifier = toy_classifier(kind)
    decoder = built(configure(classifier, width=16, conditioning=conditioning), untrained=True)
    raw = grad_cam(classifier, photo(3), TARGETS).relu()
    expected = min_max(F.interpolate(raw[:, None], (SIZE, SIZE), mode="bilinear", align_corners=False)[:, 0])
    torch.testing.assert_close(min_max(drawn(decoder, classifier, photo(3), TARGETS)), expected, rtol=0, atol=1e-4)


def test_the_decoder_has_the_stated_sizes():
    classifier = toy_classifier("residual_bypass")  # 8 × 8 maps of 32 × 32 images
    config = configure(classifier, width=64, stages=2)
    assert (config.channels, config.sides, config.input_size, config.num_classes) == ((10,), (8,), SIZE, 7)
    decoder = Decoder(config)
    assert [tuple(block[0].weight.shape) for block in decoder.blocks] == [(64, 32, 4, 4), (32, 16, 4, 4)]
    seen = []
    decoder.last.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape))
    decoder(read(classifier, config, photo(2)))
    assert seen == [(2, 16, 32, 32)]


@pytest.mark.parametrize(("input_size", "side", "stages"), [(224, 7, 3), (224, 14, 2), (240, 8, 3), (260, 9, 3)])
def test_by_default_the_blocks_reach_a_quarter_of_the_image(input_size, side, stages, monkeypatch):
    classifier = toy_classifier("gap_linear")
    monkeypatch.setattr(classifier, "input_size", input_size)
    monkeypatch.setattr("methods.decoder.reading.tapped", lambda *_: lambda x: ([torch.zeros(1, 8, side, side)], None))
    assert configure(classifier).stages == stages


@pytest.mark.parametrize(
    ("kind", "taps"),
    [("gap_linear", ("features.2",)), ("gap_linear", ("features.0", "features.3")), ("tokens", ("blocks.0.norm1",)),
     ("residual_bypass", ("features.1",)), ("branching", ("features.0",))],
)  # fmt: skip
@pytest.mark.parametrize("stages", [0, 2])
def test_maps_of_further_layers_are_seen(kind, taps, stages):
    classifier = toy_classifier(kind)
    decoder = built(configure(classifier, taps, stages=stages, width=32))
    reading = read(classifier, decoder.config, photo(2))
    assert len(reading.maps) == 1 + len(taps)
    for i in range(1, len(reading.maps)):
        changed = list(reading.maps)
        changed[i] = changed[i].flip(-1)
        before, after = decoder(reading), decoder(reading._replace(maps=tuple(changed)))
        assert (before - after).abs().amax((1, 2)).min() > 1e-4
    assert drawn(decoder, classifier, photo(2)).shape == (2, SIZE, SIZE)


def test_the_class_comes_in_unless_it_is_left_out():
    classifier, images = toy_classifier("gap_linear"), photo(1).expand(7, -1, -1, -1)
    for conditioning in CONDITIONINGS:
        decoder = built(configure(classifier, conditioning=conditioning, residual=False, width=16))
        maps = drawn(decoder, classifier, images, torch.arange(7))
        differ = (maps[1:] - maps[:1]).abs().amax((1, 2)) > 1e-4
        assert differ.all() if conditioning != "none" else not differ.any()


def test_evidence_for_log_odds_counts_rivals_against_the_class():
    """W_c − Σ_{j≠c} q_j W_j by a plain float64 loop, and the gradient of log p / (1 − p) at the pooled maps."""
    classifier = toy_classifier("gap_linear")
    reading = read(classifier, configure(classifier, evidence="log-odds"), photo(3), TARGETS)
    rows, bias = (tensor.double() for tensor in classifier.linear)
    pooled = reading.maps[0].double().mean((2, 3))
    for weights, features, target in zip(reading.weights, pooled, TARGETS.tolist(), strict=True):
        powers = [torch.exp(rows[j] @ features + bias[j]) for j in range(len(rows))]
        rivals = [j for j in range(len(rows)) if j != target]
        expected = rows[target] - sum(powers[j] * rows[j] for j in rivals) / sum(powers[j] for j in rivals)
        torch.testing.assert_close(weights.double(), expected, rtol=1e-4, atol=1e-6)
        features.requires_grad_()
        p = (rows @ features + bias).softmax(0)[target]
        (gradient,) = torch.autograd.grad((p / (1 - p)).log(), features)
        torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("evidence", ["logit", "log-odds"])
def test_class_row_and_gradient_of_a_pooling_head_draw_the_same(evidence):
    classifier = toy_classifier("gap_linear")
    configs = [configure(classifier, conditioning=c, evidence=evidence, width=16) for c in ("cam", "gradient")]
    one, other = (drawn(built(config), classifier, photo(3), TARGETS) for config in configs)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_a_head_without_class_rows_gives_its_gradient():
    classifier = toy_classifier("deep_head")
    config = configure(classifier, conditioning="cam")
    found = read(classifier, config, photo(3), TARGETS).weights
    A, rest = classifier.trunk(photo(3))
    A.requires_grad_()
    classifier.head(A, rest)[range(3), TARGETS].sum().backward()
    torch.testing.assert_close(found, A.grad.mean((2, 3)))


def test_targets_default_to_the_predicted_classes():
    classifier = toy_classifier("gap_linear")
    reading = read(classifier, configure(classifier), photo(3))
    assert torch.equal(reading.targets, classifier.logits(photo(3)).argmax(1))
    torch.testing.assert_close(reading.logits, classifier.logits(photo(3)))


def test_a_decoder_of_before_the_choice_of_evidence_is_of_logits():
    fields = dataclasses.asdict(configure(toy_classifier("gap_linear")))
    del fields["evidence"]
    assert Decoder(DecoderConfig.from_json(fields)).config.evidence == "logit"


def test_a_configuration_survives_its_json():
    config = configure(toy_classifier("gap_linear"), ("features.0",), conditioning="selector", normalised=False)
    again = type(config).from_json(json.loads(json.dumps(dataclasses.asdict(config))))
    assert again == config


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_a_checkpoint_gives_back_the_decoder_and_its_facts(tmp_path, conditioning):
    classifier = toy_classifier("gap_linear")
    decoder = built(configure(classifier, ("features.0",), width=16, conditioning=conditioning))
    file = saved(tmp_path / "d.safetensors", classifier, decoder)
    before = torch.get_rng_state()
    again = checkpoint.load(file)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(drawn(again, classifier, photo(3)), drawn(decoder, classifier, photo(3)))
    facts = checkpoint.read_facts(file)
    assert (facts.config, facts.classifier, facts.trained_on) == (decoder.config, classifier.name, "toys")
    assert (facts.recipe, facts.cost) == ({"seed": 0}, {"seconds": 1.5})


@pytest.mark.parametrize(
    ("other", "message"),
    [(toy_classifier("gap_linear", seed=1), "weights"), (toy_classifier("gap_linear", layer="features.3"), "layer")],
)
def test_a_checkpoint_of_other_weights_or_of_another_layer_is_told(tmp_path, other, message):
    classifier = toy_classifier("gap_linear")
    file = saved(tmp_path / "d.safetensors", classifier, built(configure(classifier, width=16)))
    with pytest.raises(UsageError) as caught:
        explain(other, photo(3), TARGETS, weights=str(file))
    for net in (classifier, other):
        assert f"{net.name} (weights {net.digest[:12]}, layer {net.layer})" in str(caught.value)
    assert message in str(caught.value)
    assert "methods.decoder.train" in str(caught.value)


def test_files_that_hold_no_decoder_are_told(tmp_path):
    classifier = toy_classifier("gap_linear")
    decoder = built(configure(classifier, width=16))
    garbled, plain = tmp_path / "garbled.safetensors", tmp_path / "plain.safetensors"
    garbled.write_bytes(b"no")
    safetensors.torch.save_file({"x": torch.zeros(1)}, plain)
    later = saved(tmp_path / "later.safetensors", classifier, decoder, version=99)
    wider = dataclasses.replace(decoder.config, width=32)
    unfit = saved(tmp_path / "unfit.safetensors", classifier, decoder, config=wider)
    for file, message in ((tmp_path / "none", "no such decoder"), (garbled, "not a checkpoint of a decoder"),
                          (plain, "not a checkpoint of a decoder"), (later, "version 99"),
                          (unfit, "does not fit its own configuration")):  # fmt: skip
        with pytest.raises(UsageError, match=message):
            explain(classifier, photo(3), TARGETS, weights=str(file))


def test_without_a_checkpoint_the_explainer_is_skipped_and_names_the_training_command(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path)
    with pytest.raises(Skip, match="python -m methods.decoder.train --model toy-gap_linear"):
        explain(toy_classifier("gap_linear"), photo(3), TARGETS)


def test_a_file_that_changes_is_read_again(tmp_path):
    classifier = toy_classifier("gap_linear")
    config, file = configure(classifier, width=16), tmp_path / "d.safetensors"
    maps = []
    for seed in (0, 1):
        saved(file, classifier, built(config, seed))
        maps.append(explain(classifier, photo(3), TARGETS, weights=str(file)))
    assert not torch.equal(*maps)


def test_passes_are_those_of_the_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path)
    for kind, conditioning, expected in (("gap_linear", "cam", Passes(1)), ("gap_linear", "gradient", Passes(1, 1)),
                                         ("deep_head", "cam", Passes(1, 1))):  # fmt: skip
        classifier = toy_classifier(kind)
        assert passes(classifier) == Passes(1)
        decoder = built(configure(classifier, width=16, conditioning=conditioning))
        file = saved(tmp_path / "d.safetensors", classifier, decoder)
        assert passes(classifier) == passes(classifier, weights=str(file)) == expected
        file.unlink()


def test_a_float64_classifier_gets_float64_maps(tmp_path):
    classifier = toy_classifier("gap_linear", dtype=torch.float64)
    file = saved(tmp_path / "d.safetensors", classifier, built(configure(toy_classifier("gap_linear"), width=16)))
    maps = explain(classifier, photo(3).double(), TARGETS, weights=str(file))
    single = explain(toy_classifier("gap_linear"), photo(3), TARGETS, weights=str(file))
    assert maps.dtype == torch.float64
    torch.testing.assert_close(maps.float(), single, rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A folder with one decoder for each toy, two taps where the net has them; equal nets get equal decoders."""
    folder = tmp_path_factory.mktemp("weights")
    for kind in (*contract.KINDS, "branching"):
        classifier = toy_classifier(kind)
        taps = ("features.0",) if kind in ("gap_linear", "branching") else ()
        saved(folder / f"{kind}.safetensors", classifier, built(configure(classifier, taps, stages=1, width=16)))
    return folder


@pytest.mark.parametrize("kind", contract.KINDS)
def test_the_explainer_holds_its_contract_on_every_toy(kind, shipped, monkeypatch):
    monkeypatch.setattr(checkpoint, "SHIPPED", shipped)
    contract.test_maps_are_finite_repeatable_and_independent_of_the_batch("decoder", kind)
    contract.test_classifier_images_and_random_state_stay_as_they_were("decoder", kind)
    contract.test_passes_are_as_declared("decoder", kind)
    for call in (1, 3):
        contract.test_classifier_stays_as_it_was_when_it_raises("decoder", kind, call)


def test_the_explainer_holds_the_rest_of_its_contract(shipped, monkeypatch):
    monkeypatch.setattr(checkpoint, "SHIPPED", shipped)
    contract.test_failures_of_the_net_are_not_swallowed("decoder")
    contract.test_works_on_a_net_that_cannot_be_traced("decoder")
    contract.test_maps_have_the_resolution_of_the_layer_or_of_a_grid_no_finer_than_the_image("decoder")
    for wrong in (-1, 7):
        contract.test_wrong_class_raises_unless_the_class_plays_no_part("decoder", wrong)
