"""The record of a sweep: what it is written as, where its keys stand, and what its hash is of."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import yaml

from dse.errors import NOWHERE, Place
from dse.sweep import parse_spec
from dse.sweep.search import EvolveOptions
from dse.sweep.spec import _sha256
from tests.dse.sweep.verdict import changed
from tests.sweeps import TEXT, small

ENDS: list[Any] = [{"low": 1.1}, {"high": 1.3}, {"low": 1.1, "high": 1.3}]


@pytest.mark.parametrize("told", [1.2, *({"typ": 1.2, **ends} for ends in ENDS)])
def test_a_replaced_parameter_is_written_as_it_is_read(told: Any) -> None:
    spec = parse_spec(small(technology={"tco.pue": told}))
    assert spec.written()["technology"] == {"tco.pue": told} and spec.technology == {"tco.pue": 1.2}
    assert parse_spec(spec.written()).hash == spec.hash != parse_spec(small()).hash


def test_defaults_are_those_that_users_know(data_regression: Any) -> None:
    """Results change in silence where a default does."""
    spec = parse_spec(changed(yaml.safe_load(TEXT), {"robustness": {}}))
    resolved = spec.resolved()
    rest = {key: one for key, one in resolved.items() if key not in ("space", "economics", "technology")}
    data_regression.check({**rest, "evolve": EvolveOptions().model_dump()})


def test_a_hash_is_that_of_canonical_json() -> None:
    assert _sha256({"b": 1.5, "a": "\u00e9"}) == hashlib.sha256('{"a": "\u00e9", "b": 1.5}'.encode()).hexdigest()
    with pytest.raises(ValueError, match="not JSON compliant"):
        _sha256({"a": float("inf")})


def test_a_question_is_a_sweep_without_its_name_its_search_and_what_is_kept() -> None:
    plain = parse_spec(small())
    for changes, same in (
        ({"name": "other"}, True), ({"search": {"sampler": "grid"}, "space": small()["space"]}, True),
        ({"results": {"keep_all_up_to": 3}}, True), ({"economics": {"units": 3}}, False),
        ({"constraints": [{"metric": "tdp_w", "max": 3}]}, False),
    ):  # fmt: skip
        other = parse_spec(small(**changes))
        assert (other.question == plain.question) == same and other.hash != plain.hash, changes


def test_a_place_is_that_of_the_nearest_key_above() -> None:
    made = parse_spec(small())
    places = {path: Place(path) for path in ("space", "space.macs", "constraints[0]", "constraints")}
    told = made.model_copy(update={"places": places})
    for path, found in (
        ("space.macs", "space.macs"), ("space.macs.low", "space.macs"), ("space.node", "space"), ("space", "space"),
        ("constraints[0].max", "constraints[0]"), ("constraints[1]", "constraints"),
        ("constraints[1].max", "constraints"),
        ("name", ""), ("", ""),
    ):  # fmt: skip
        assert told.place_of(path) == (Place(found) if found else NOWHERE), path


def test_metrics_are_those_that_may_be_named() -> None:
    space = {"memory_devices": 16, "chat.batch": {"values": [1, 2]}}
    objectives = [{"metric": one, "direction": "minimize"} for one in ("tdp_w", "macs", "chat.batch")]
    made = parse_spec(small(space=space, objectives=objectives, constraints=[{"metric": "clock_ghz", "max": 3}]))
    own = set(made.metrics) - set(parse_spec(small(space=space)).metrics)
    assert own == {"macs", "clock_ghz", "batch"}


def test_what_a_sweep_does_not_have_is_not_written() -> None:
    bare = parse_spec(small()).written()
    assert {"mix", "library", "deployment", "model", "robustness", "source_text", "places"}.isdisjoint(bare)
    assert bare["constraints"] == [] and bare["technology"] == {} and bare["space"]["kv_bits"] == 8.0
    assert len(bare["space"]["memory_device_gib"]) == 3 and bare["space"]["node"] == {
        "values": ["tsmc_7", "tsmc_5", "samsung_5"]
    }
    full = parse_spec(
        small(
            mix={"chat": 1},
            robustness={},
            constraints=[{"metric": "tdp_w", "max": 3}, {"metric": "p_feasible", "min": 0.5}],
        )
    ).written()
    assert full["mix"] == {"chat": 1.0} and [one["metric"] for one in full["constraints"]] == ["tdp_w", "p_feasible"]
    assert "probabilities" not in full and full["robustness"]["draws"] == 2000
    model = {"function": "mine:noise", "metrics": {"noise_db": "dB"}}
    objectives = [{"metric": "noise_db", "direction": "minimize"}]
    beside, alone = (
        parse_spec(small(model={**model, "replace": replace}, objectives=objectives)) for replace in (False, True)
    )
    assert (beside.builtin_disabled, alone.builtin_disabled) == (False, True)
    assert "economics" in beside.written() and "economics" not in alone.written() and not bare.get("model")
    assert parse_spec(alone.written()).hash == alone.hash and "noise_db" in alone.metrics
