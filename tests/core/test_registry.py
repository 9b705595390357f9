"""Registries, specs, plug-ins and seeds."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
import torch

from bench.core.errors import UsageError
from bench.core.registry import Registry
from bench.core.seeds import content_hash, forked_rng, seed_for
from bench.core.spec import LATER, split_list
from bench.core.user_code import load_file


def my_method(images, *, steps: int = 50, rate: float = 0.1, mode: Literal["plain", "norm"] = "plain",
              early: bool = True, width: int | None = None, seeds=None):  # fmt: skip
    return images


@pytest.fixture
def registry() -> Registry:
    registry: Registry = Registry("method")
    registry.add("my-method", my_method, signature_of=my_method)
    registry.add("plain", "value")
    return registry


def test_a_spec_carries_typed_parameters(registry):
    spec = registry.spec("my-method(steps=100, rate=1e-2, mode=norm, early=false, width=7)")
    assert spec.params == {"steps": 100, "rate": 0.01, "mode": "norm", "early": False, "width": 7}
    assert registry.spec("my-method").params["width"] is None
    assert registry.spec("my-method(width=none)").params["width"] is None


def test_seeds_belong_to_the_harness(registry):
    with pytest.raises(UsageError, match="no parameter 'seeds'"):
        registry.spec("my-method(seeds=1)")


def test_a_later_parameter_leaves_the_keys_at_its_default_as_they_were(registry):
    def grown(images, *, steps: int = 50, gamma: Annotated[float, LATER] = 1.0):
        return images

    registry.add("grown", grown, signature_of=grown)
    assert registry.spec("grown").key == registry.spec("grown(gamma=1)").key == "grown(steps=50)"
    assert registry.spec("grown(gamma=2)").key == "grown(gamma=2.0,steps=50)"
    assert registry.spec("grown").params == {"steps": 50, "gamma": 1.0}
    assert str(registry["grown"].parameters["gamma"]) == "gamma: float = 1.0"


def test_equal_specs_have_equal_keys_and_short_labels(registry):
    one, other = registry.spec("my-method(mode=plain,steps=7)"), registry.spec("my-method( steps=7 )")
    assert one.key == other.key
    assert one.label == other.label == "my-method(steps=7)"
    assert registry.spec(one.label).key == one.key
    assert registry.spec("my-method(steps=8)").key != one.key


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("my-metod", "did you mean 'my-method'"),
        ("my-method(step=1)", "no parameter 'step'; it takes: steps: int = 50"),
        ("my-method(steps=many)", "steps='many' is not int"),
        ("my-method(early=1)", r"early='1' is not bool"),
        ("my-method(mode=other)", r"not plain\|norm"),
        ("my-method(steps=1,steps=2)", "given twice"),
        ("my-method(steps)", "no parameter 'steps'|has no parameter"),
        ("my-method(steps=1", "write name"),
        ("plain(a=1)", "it takes: none"),
    ],
)
def test_a_wrong_spec_is_told_what_is_right(registry, text, message):
    with pytest.raises(UsageError, match=message):
        registry.spec(text)


def test_a_clash_names_both_origins(registry):
    def other(images):
        return images

    with pytest.raises(UsageError, match=r"test_registry\.py:\d+ and .*test_registry\.py:\d+"):
        registry.add("my-method", other, signature_of=other)


def test_an_untyped_parameter_is_refused():
    def untyped(images, *, steps=3):
        return images

    with pytest.raises(UsageError, match="'steps' of .* needs a type and a default"):
        Registry("method").add("untyped", untyped, signature_of=untyped)


def test_commas_inside_parentheses_do_not_split():
    assert split_list("a, b(c=1,d=2) ,,e") == ["a", "b(c=1,d=2)", "e"]


def test_quotes_keep_a_value_with_commas_together(registry):
    def listed(images, *, names: str = ""):
        return images

    registry.add("listed", listed, signature_of=listed)
    texts = split_list('listed(names="a=x,b(c"),plain')
    assert texts == ['listed(names="a=x,b(c")', "plain"]
    spec = registry.spec(texts[0])
    assert spec.params == {"names": "a=x,b(c"}
    assert registry.spec(spec.label).key == spec.key
    assert registry.spec('listed(names="a")').label == "listed(names=a)"
    single = split_list("listed(names='a=x,b(c'),plain")
    assert registry.spec(single[0]).key == spec.key
    assert split_list("listed(names=Bob's),listed(names=Ann's)") == ["listed(names=Bob's)", "listed(names=Ann's)"]


def test_a_file_is_imported_once_and_failures_are_one_line(tmp_path):
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text("value = object()")
    bad.write_text("1 / 0")
    assert load_file(good) is load_file(good)
    with pytest.raises(UsageError, match="ZeroDivisionError: division by zero"):
        load_file(bad)
    with pytest.raises(UsageError, match="no such Python file"):
        load_file(tmp_path / "none.py")


def test_seeds_depend_on_every_part_and_on_their_borders():
    assert seed_for(1, "ab", "c") == seed_for(1, "ab", "c")
    assert len({seed_for(1, "ab", "c"), seed_for(1, "a", "bc"), seed_for(2, "ab", "c")}) == 3
    assert 0 <= seed_for("x") < 2**63
    assert content_hash("ab", "c") != content_hash("a", "bc")


def test_a_forked_generator_leaves_no_trace():
    before = torch.get_rng_state()
    with forked_rng(3):
        first = torch.rand(4)
    with forked_rng(3):
        assert torch.equal(torch.rand(4), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_alias_finds_the_entry_under_its_own_name(registry):
    registry.alias("other", "my-method")
    assert registry["other"] is registry["my-method"]
    assert registry.spec("other(steps=7)").label == "my-method(steps=7)"
    assert "other" in registry
    assert [entry.name for entry in registry] == ["my-method", "plain"]
    with pytest.raises(UsageError, match="is registered, so that it cannot stand for"):
        registry.alias("plain", "my-method")


def test_axiom_cam_is_xgrad_cam():
    import methods  # noqa: F401
    from bench.core.explainer import EXPLAINERS

    assert EXPLAINERS["axiom-cam"].name == "xgrad-cam"
