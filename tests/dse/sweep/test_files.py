"""Trees merged over one another, and arguments put in their place."""

from __future__ import annotations

from typing import Any

import pytest

from dse.errors import SpecError
from dse.sweep.files import apply_overrides, merge
from dse.yaml_positions import node_of


@pytest.mark.parametrize(
    ("below", "above", "merged"),
    [
        ({"a": 1, "b": {"c": 1, "d": 2}}, {"b": {"d": 3, "e": 4}}, {"a": 1, "b": {"c": 1, "d": 3, "e": 4}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}), ({"a": {"b": 1}}, {"a": 2}, {"a": 2}), ({"a": 1,
        "b": 2}, {"a": None}, {"b": 2}),
        ({"a": 1}, {"b": None}, {"a": 1, "b": None}), ({"search": {"sampler": "grid",
        "seed": 1}}, {"search": {"seed": 2}},
         {"search": {"sampler": "grid", "seed": 2}}),
        ({"search": {"sampler": "grid", "seed": 1}}, {"search": {"sampler": "tpe"}}, {"search": {"sampler": "tpe"}}),
        ({"space": {"m": {"low": 1, "high": 2, "log": True}}}, {"space": {"m": {"low": 3}}},
         {"space": {"m": {"low": 3, "high": 2, "log": True}}}),
        ({"space": {"m": {"low": 1, "high": 2, "log": True}}}, {"space": {"m": {"low": 3,
        "high": 4}}}, {"space": {"m": {"low": 3, "high": 4}}}),
        ({"space": {"m": {"low": 1,
        "when": {}}}}, {"space": {"m": {"values": [1]}}}, {"space": {"m": {"values": [1]}}}),
        ({"other": {"m": {"low": 1}}}, {"other": {"m": {"values": [1]}}}, {"other": {"m": {"low": 1, "values": [1]}}}),
        ({"space": {"m": {"a": {"low": 1}}}}, {"space": {"m": {"a": {"values": 1}}}},
         {"space": {"m": {"a": {"low": 1, "values": 1}}}}),
        ({"x": {"sampler": 1}}, {"x": {"sampler": 2, "b": 1}}, {"x": {"sampler": 2, "b": 1}}),
    ],
)  # fmt: skip
def test_a_file_is_merged_over_what_it_extends(below: Any, above: Any, merged: Any) -> None:
    assert merge(node_of(below), node_of(above)).plain() == merged


TREE = {
    "search": {"seed": 1, "options": {"a": 1}}, "constraints": [{"max": 1}, {"max": 2}],
    "space": {"macs": 5, "chat.batch": {"low": 1}},
    "technology": {"tco.pue": 1.2}, "workloads": {"chat_70b": {"batch": 1}},
    "model": {"metrics": {"chat.tpot_ms": "ms"}},
}  # fmt: skip
KNOWN = ("tco.pue", "tco.share", "nodes.tsmc_5.x")


@pytest.mark.parametrize(
    ("argument", "path", "value"),
    [
        ("search.seed=7", ("search", "seed"), 7), ("search.new=x", ("search", "new"), "x"),
        ("constraints[1].max=9", ("constraints", 1, "max"), 9),
        ("space.macs.low=3", ("space", "macs"), {"low": 3}),
        ("space.chat.batch.low=4", ("space", "chat.batch"), {"low": 4}),
        ("space.other.batch=4", ("space", "other.batch"), 4),
        ("space.other.batch.low=4", ("space", "other.batch"), {"low": 4}),
        ("space.kv_bits.low=4", ("space", "kv_bits"), {"low": 4}),
        ("space.kv_bits.values=[4]", ("space", "kv_bits"), {"values": [4]}),
        ("space.technology.tco.pue.low=1", ("space", "technology.tco.pue"), {"low": 1}),
        ("space.technology.tco.unknown=1", ("space", "technology.tco.unknown"), 1),
        ("technology.tco.pue=2", ("technology", "tco.pue"), 2),
        ("technology.tco.share.typ=2", ("technology", "tco.share"), {"typ": 2}),
        ("technology.nodes.tsmc_5.x=2", ("technology", "nodes.tsmc_5.x"), 2),
        ("technology.what.is.this=2", ("technology", "what.is.this"), 2),
        ("model.metrics.chat.tpot_ms=s", ("model", "metrics", "chat.tpot_ms"), "s"),
        ("workloads.chat_70b.batch=2", ("workloads", "chat_70b", "batch"), 2),
        ("search={seed: 3}", ("search",), {"seed": 3}), ("search.options.b.c=1", ("search", "options", "b", "c"), 1),
        ("search.seed=", ("search", "seed"), None), ("search.seed=null", ("search", "seed"), None),
        (" search.seed = 8", ("search", "seed"), 8),
    ],
)  # fmt: skip
def test_an_argument_is_put_in_its_place(argument: str, path: Any, value: Any) -> None:
    tree = apply_overrides(node_of(TREE), [argument], KNOWN)
    found = tree.at(path)
    assert (found is None) == (value is None) and (found is None or found.plain() == value)
    if found is not None:
        assert any(str(node.place).startswith("--set ") for _, node in found.walk())
    plain = tree.plain()
    assert sorted(plain) == sorted(TREE), "nothing else is changed"


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("search.seed", "of the form a.b=value"), ("=3", "of the form a.b=value"), (" =3", "of the form a.b=value"),
        ("[0]=3", "a dotted path such as"),
        ("constraints[2].max=3", "2 is not an entry of constraints, which has 2"),
        ("constraints[1]x=3", "a dotted path such as"), ("search.seed.x=3", "1 has no key x"),
        ("search[0]=3", "has no key 0"),
        ("search.none=", "search.none: is not there, so it cannot be removed"), ("search.seed={", "is not YAML"),
    ],
)  # fmt: skip
def test_an_argument_that_leads_nowhere_is_refused(argument: str, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        apply_overrides(node_of(TREE), [argument, "search.seed=1"], KNOWN)
    assert says in str(caught.value) and len(caught.value.issues) == 1
