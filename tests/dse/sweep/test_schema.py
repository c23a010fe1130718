"""The schema for editors: what it takes and what it refuses, a key at a time."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from cost_models.library import shipped_library
from cost_models.quantities.parameters import PARAMETERS
from dse.sweep.schema import sweep_schema
from tests.dse.sweep.verdict import changed
from tests.sweeps import small

TAKEN: tuple[dict[str, Any], ...] = (
    {}, {"constraints": []}, {"constraints": [{"metric": "chat.tpot_ms", "max": "3 ms"}]},
    {"constraints": [{"metric": "p_feasible", "min": 0.5}]},
    {"constraints": [{"metric": "tdp_w", "max": 1, "relative_to": "a"}]},
    {"objectives": [{"metric": "noise_db", "direction": "maximize"}]},
    {"workloads": {"chat": {"model": "a/config.json"}}},
    {"workloads": {"chat": {"model": "a.gguf", "required": False}}},
    {"workloads": {"chat": {"parallelism": "tp4", "same_prompts": True, "trace": "a.csv"}}},
    {"workloads": {"chat": {"speculation": {"draft": "ngram", "draft_tokens": 3}}}},
    {"workloads": {"chat": {"sessions": {"turns": 3, "tier": "ddr5"}}}},
    {"space": {"macs": {"values": [1, "2 k"]}}},
    {"space": {"macs": {"low": 1, "high": 2, "log": True, "type": "int"}}},
    {"space": {"macs": [{"values": [1], "when": {"memory": "hbm3"}}]}}, {"space": {"memory": "hbm3"}},
    {"space": {"chat.batch": {"low": 1, "high": 2}}}, {"space": {"technology.tco.pue": 1.1}},
    {"space": {"prefill.macs": [1]}},
    {"technology": {"tco.pue": {"typ": 1.2, "low": 1}}}, {"mix": {"chat": "50 %"}},
    {"economics": {"yield_model": "murphy"}},
    {"baselines": {"a": {"chips": "2x l4", "prefill": {"chips": "l4"}}}},
    {"deployment": {"prefill": "l4", "decode": "design"}},
    {"search": {"sampler": "x", "options": {"a": 1}, "join": True}}, {"library": "folder"},
    {"library": ["folder", {}]},
    {"model": "module:function"}, {"model": {"command": ["x"], "metrics": {}, "replace": True}},
    {"robustness": {"draws": 3}},
)  # fmt: skip
REFUSED: tuple[dict[str, Any], ...] = (
    {"spaces": {}}, {"name": "2a"}, {"name": 3}, {"objectives": []}, {"objectives": [{"metric": "tpot_ms"}]},
    {"objectives": [{"metric": "chat.tdp_w"}]}, {"objectives": [{"metric": "tdp_w", "direction": "down"}]},
    {"objectives": [{"metric": "tdp_w", "goal": "minimize"}]}, {"constraints": {}},
    {"workloads": {"chat": {"model": "no"}}},
    {"workloads": {"chat": {"batch": True}}}, {"workloads": {"chat": {"required": "yes"}}},
    {"workloads": {"chat": {"b": 1}}},
    {"workloads": {"chat": {"parallelism": 4}}}, {"workloads": {"chat": {"speculation": {"drafts": 1}}}},
    {"space": {"macs": {"values": []}}}, {"space": {"macs": {"values": [1], "low": 1}}}, {"space": {"macs": []}},
    {"space": {"macs": {"values": [1], "when": {}}}}, {"space": {"macs": [{"values": [1], "when": {}}]}},
    {"space": {"memory": {"low": 1, "high": 2}}}, {"space": {"memory": "hbm9"}},
    {"space": {"memory": {"values": ["hbm9"]}}},
    {"space": {"macs": {"low": 1, "high": 2, "type": "whole"}}}, {"space": {"macs": {"low": 1, "log": 1}}},
    {"space": {"chat.model": "llama3_8b"}}, {"space": {"nothing": 1}}, {"technology": {"tco.peu": 1}},
    {"technology": {"tco.pue": {"mean": 1}}}, {"mix": {"chat": []}}, {"search": {"sampler": "x", "join": 1}},
    {"library": 3}, {"library": [3]}, {"model": {"inputs": "x"}}, {"model": {"replace": 1}},
    {"robustness": {"draw": 3}},
    {"baselines": {"a": {"prefill": 3}}}, {"baselines": {"a": {"prefill": {"chip": "l4"}}}},
)  # fmt: skip


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return sweep_schema(shipped_library())


def test_what_the_schema_takes_and_what_it_refuses(schema: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    sweep = small(space={"kv_bits": 8})
    assert [one for one in TAKEN if not validator.is_valid(changed(sweep, one))] == []
    assert [one for one in REFUSED if validator.is_valid(changed(sweep, one))] == []
    for name in ("name", "workloads", "space", "objectives", "search"):
        without = {key: value for key, value in sweep.items() if key != name}
        assert not validator.is_valid(without) and validator.is_valid({**without, "extends": "base.yaml"})
    for removed in ({"workloads": {"chat": None}}, {"space": {"macs": None}}, {"technology": {"tco.pue": None}}):
        assert validator.is_valid({"extends": "base.yaml", **removed})


def test_what_a_key_is_stands_beside_it(schema: dict[str, Any]) -> None:
    space = schema["properties"]["space"]["properties"]
    value, *_ = space["clock_ghz"]["anyOf"]
    assert value["description"] == f"{PARAMETERS['clock_ghz'].meaning} (GHz)"
    value, *_ = space["dies"]["anyOf"]
    assert value["description"] == PARAMETERS["dies"].meaning
