"""Sides of a comparison on made numbers: totals, ratios, what is missed, and words."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from dse.analysis import compare as comparing
from dse.analysis.compare import (
    MEASURES,
    _design_words,
    _missed,
    _ratios,
    _read_baseline,
    _values,
    baseline_margins,
    with_baselines,
)
from dse.analysis.explain import columns
from dse.errors import SpecError
from dse.sweep import ConstraintSpec, parse_spec
from tests.sweeps import minimized, tiny

METRICS = {one.name: 7.0 + place for place, one in enumerate(MEASURES)} | {"other": 1.0}


def test_what_is_missed_stands_from_the_worst_and_what_is_unknown_last():
    found = _missed({"a": -0.1, "met": 0.0, "b": math.nan, "c": -0.5, "d": 0.2})
    assert list(found) == ["c", "a", "b"] and (found["c"], found["a"]) == (0.5, 0.1) and math.isnan(found["b"])


def test_ratios_are_to_what_runs():
    values = {one.name: 6.0 for one in MEASURES}
    base = {one.name: 4.0 for one in MEASURES}
    found = _ratios(values, base)
    assert set(found) == {one.name for one in MEASURES if one.in_ratio} and set(found.values()) == {1.5}
    assert {"tpot_ms", "all_price_usd"} <= set(found) and not {"chips", "batch", "all_cost_usd"} & set(found)
    # What stands in no ratio: numbers, parts of a price and shares.
    assert {one.name for one in MEASURES if not one.in_ratio} == {
        "chips", "batch", "decode_cap_stretch", "prefill_cap_stretch", "all_cost_usd", "all_nre_usd", "all_margin_usd",
        "overhead_fraction",
    }  # fmt: skip
    usual = {one.name: one.usual for one in MEASURES if not math.isnan(one.usual)}
    assert usual == {"decode_cap_stretch": 1, "prefill_cap_stretch": 1}
    for none in ({}, {**base, "tpot_ms": math.nan}):
        assert all(math.isnan(one) for one in _ratios(values, none).values()) and set(_ratios(values, none)) == set(
            found
        )


@pytest.fixture
def sides(monkeypatch):
    monkeypatch.setattr(comparing, "workload_metrics", lambda served, technology, names: METRICS)
    ends = {"tpot_ms": (1.0, 2.0), "nothing": (3.0, 4.0)}
    monkeypatch.setattr(columns, "known_intervals", lambda served, metrics, stack, library: ends)

    def sides(users=None):
        machine = SimpleNamespace(
            tdp_w=np.array([100.0]), cost_usd=300.0, nre_usd=np.array([50.0]), price_usd=np.array([1000.0])
        )
        serving = SimpleNamespace(chips=np.array([4.0]), sequences=np.array([8.0]))
        served = SimpleNamespace(
            machine=machine, serving=serving, inference=SimpleNamespace(waves=np.array([3.0])), users=users
        )
        return _values(SimpleNamespace(technology=SimpleNamespace(library=None)), served, "vllm")

    return sides


def test_power_and_price_are_of_all_chips(sides):
    values, intervals = sides()
    assert list(values) == [one.name for one in MEASURES]
    totals = {
        "chips": 4, "batch": 24, "all_tdp_w": 400, "all_cost_usd": 1200, "all_nre_usd": 200, "all_margin_usd": 2600,
        "all_price_usd": 4000,
    }  # fmt: skip
    assert {name: values[name] for name in totals} == totals
    assert all(values[name] == METRICS[name] for name in values if name not in totals)
    assert intervals == {"tpot_ms": (1.0, 2.0)}


def test_chips_that_prefill_and_ports_are_counted_beside(sides, monkeypatch):
    class Pools:
        pool = SimpleNamespace(
            result=SimpleNamespace(machine=SimpleNamespace(cost_usd=200.0, nre_usd=20.0, price_usd=500.0))
        )

    monkeypatch.setattr(comparing, "Disaggregated", Pools)
    # One and a half chips beside them of 500 USD each, and ports for 50.
    costs = SimpleNamespace(chips=np.array([1.5]), tdp_w=np.array([70.0]), price_usd=np.array([800.0]))
    monkeypatch.setattr(comparing, "pool_costs", lambda users: costs)
    values, _ = sides(Pools())
    parts = {name: values[f"all_{name}_usd"] for name in ("cost", "nre", "margin")}
    assert parts == {"cost": 1200 + 300 + 50, "nre": 200 + 30, "margin": 2600 + 1.5 * 280}
    assert (values["chips"], values["all_tdp_w"], values["all_price_usd"]) == (5.5, 470, 4800)
    assert sum(parts.values()) == values["all_price_usd"]


def test_margins_of_baselines_are_known_where_all_their_metrics_are():
    asked = [
        ConstraintSpec.model_construct(metric="cost", max=10.0),
        ConstraintSpec.model_construct(metric="time", min=4.0),
    ]
    spec = SimpleNamespace(constraints=asked)
    found = baseline_margins(
        spec, {"a": {"cost": 5.0, "time": 2.0}, "b": {"cost": 1.0}, "c": {"cost": 20.0, "time": math.nan}}
    )
    assert found["a"] == {"cost <= 10": 0.5, "time >= 4": -0.5} and found["b"] == {}
    assert found["c"]["cost <= 10"] == -1 and math.isnan(found["c"]["time >= 4"])


def test_a_baseline_in_words():
    entries = {
        "plain": {"chips": "2x a100_80gb_sxm"},
        "all": {
            "chips": "1x h100_sxm",
            "weight_format": "fp8",
            "kv_bits": 8,
            "serving_stack": "vllm",
            "parallelism": "tp1",
        },
    }
    workloads = {"chat": {"model": "mixtral_8x7b", "batch": 1}}
    spec = parse_spec(tiny(workloads=workloads, constraints=[], objectives=minimized("cost_usd"), baselines=entries))
    assert spec.baselines["plain"].words == "2x a100_80gb_sxm, bf16 or as published, KV 16 bit"
    assert spec.baselines["all"].words.startswith("1x h100_sxm, fp8, KV 8 bit, vllm, ")
    entry = spec.baselines["all"].model_copy(
        update={"expert_format": "mxfp4", "stored_bits": 4.25, "weight_execution": "dense", "parallelism": None,
                "prefill": spec.baselines["plain"]}
    )  # fmt: skip
    assert entry.words == (
        "1x h100_sxm, fp8, experts mxfp4, 4.25 bits per weight, KV 8 bit, dense, vllm; "
        "prompts by 2x a100_80gb_sxm, bf16 or as published, KV 16 bit"
    )


def test_a_design_in_words():
    settings = {"node": "tsmc_5", "memory_devices": 8, "memory": "hbm3", "weight_format": "fp8", "kv_bits": 8.0}
    assert _design_words(settings) == "tsmc_5, 8x hbm3, fp8, KV 8 bit"


def test_a_baseline_is_read_from_words_and_settings():
    assert _read_baseline("8x h200_sxm, weight_format=fp8  kv_bits=8") == (
        "8x h200_sxm", {"weight_format": "fp8", "kv_bits": 8.0},
    )  # fmt: skip
    assert _read_baseline("  l4 ") == ("l4", {})
    for wrong in ("l4 =8", "l4 kv_bits=", "l4 ="):
        with pytest.raises(SpecError, match="weight_format=fp8"):
            _read_baseline(wrong)


def test_further_baselines_are_named_after_their_chips(tmp_path):
    spec = parse_spec(tiny())
    assert with_baselines(spec, []) is spec
    found = with_baselines(spec, ["2x l4", "l4", "l4 kv_bits=8", "l4 kv_bits=4"])
    assert list(found.baselines) == ["l4_2", "l4", "l4_more", "l4_more_more"]
    assert [one.kv_bits for one in found.baselines.values()] == [16, 16, 8, 4]
    assert [one.count for one in found.baselines.values()] == [2, 1, 1, 1]
    # A directory of additions alone is read too.
    (tmp_path / "chips.yaml").write_text("{}")
    assert with_baselines(spec, [], [tmp_path]) is not spec
