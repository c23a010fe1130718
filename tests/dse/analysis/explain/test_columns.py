"""What an explanation holds of a workload, of results that are made up; and one row of many."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.table import Choice
from dse.analysis.explain import columns
from dse.analysis.explain.columns import (
    _cell,
    _of_workload,
    _pass_table,
    explanation_of,
    in_one_node,
    interval_columns,
    known_intervals,
    machine_columns,
    placement_columns,
    workload_columns,
)


def one(value):
    return np.array([float(value)])


def dense(**changed):
    return SimpleNamespace(key="m", published_as=None, note="", max_context=None, moe=None, **changed)


def served(machine=None, serving=None, result=None, model=None, users=None):
    machine = SimpleNamespace(**{
        "nodes": None, "capacity_bytes": one(64 * 2**30), "bandwidth_bytes_per_s": one(2e12), "near": None,
        "placement": None, "linear_mac_per_s": one(5e14), "head_mac_per_s": one(4e14), "attention_mac_per_s": one(3e14),
        **(machine or {}),
    })  # fmt: skip
    serving = SimpleNamespace(**{
        "sequences": one(4), "speculation": None, "reused_tokens": one(0), "prefix_tokens": 0.0,
        "prompt_tokens": one(64), "output_tokens": one(10), "chips": one(8), "tensor_parallel": one(4),
        "stages": one(2), "replicas": one(1), "model": model or dense(), "parallelism": "tensor", **(serving or {}),
    })  # fmt: skip
    footprint = SimpleNamespace(
        weights_bytes=one(2**33), kv_bytes=one(2**31), activations_bytes=2.0**30, most_loaded_bytes=one(2**32)
    )
    inference = SimpleNamespace(**{
        "placed": machine, "footprint": footprint, "waves": one(1), "in_flight": one(0), "joining_s": one(0.002),
        "draft": None, "draft_steps": one(3), "pass_energy": "energy", "decode": "decode", "fits": np.array([True]),
        **(result or {}),
    })  # fmt: skip
    first = SimpleNamespace(
        prefill="prefill", prefill_pass_energy="first", serving="its", placed="there", machine=machine
    )
    formats = SimpleNamespace(
        weight_bits=one(4.25), expert_bits=None, head_bits=one(16), kv_bits=one(8), activation_bits=16.0
    )
    return SimpleNamespace(inference=inference, serving=serving, prefilling=first, users=users, formats=formats)


@pytest.fixture
def told(monkeypatch):
    monkeypatch.setattr(columns, "count_parameters", lambda model: SimpleNamespace(total=7e9, active=2e9))
    monkeypatch.setattr(columns, "pass_columns", lambda *given: given)
    monkeypatch.setattr(columns, "in_one_node", lambda result, phase: phase)
    monkeypatch.setattr(columns, "interval_columns", lambda *given: {"tpot_ms": given})
    return lambda **parts: workload_columns(served(**parts), {"tpot_ms": one(5)}, "stack", "library")


def numbers(found):
    return {
        name: value if isinstance(value, str) else float(np.ravel(value)[0])
        for name, value in found["settings"].items()
    }


USUAL = {
    "model": "m", "params_billion": 7, "active_params_billion": 2, "parallelism": "tensor", "batch": 4,
    "prompt_tokens": 64, "output_tokens": 10, "chips": 8, "tensor_parallel": 4, "stages": 2, "replicas": 1,
    "weight_bits": 4.25, "head_bits": 16, "kv_bits": 8, "activation_bits": 16,
}  # fmt: skip


def test_a_workload_is_told_in_gib_and_peaks(told):
    found = told()
    assert numbers(found) == USUAL
    memory = {name: float(np.ravel(gib)[0]) for name, gib in found["memory_gib"].items()}
    assert memory == {"weights": 8, "kv_cache": 2, "activations": 1}
    assert (found["most_loaded_gib"][0], found["capacity_gib"][0]) == (4, 64)
    # Two operations per multiplication.
    assert {name: peak[0] for name, peak in found["roofs"].items()} == {
        "bandwidth_gbps": 2000, "linear_tflops": 1000, "head_tflops": 800, "attention_tflops": 600,
    }  # fmt: skip
    assert found["decode"][:2] == ("decode", "energy") and found["decode"][4] == "decode"
    assert found["prefill"] == ("prefill", "first", "its", "there", "prefill")
    assert found["placement"] == {} and found["fits"].tolist() == [True] and found["metrics"]["tpot_ms"][0] == 5
    near = told(machine={"near": SimpleNamespace(bytes_per_s=one(5e12))})["roofs"]
    assert near["near_memory_gbps"][0] == 5000


@pytest.mark.parametrize(
    ("parts", "more"),
    [
        ({"result": {"waves": np.array([1.0, 2.0])}}, {"waves": 1}),
        ({"result": {"waves": one(3)}}, {"waves": 3, "batch": 12}),
        ({"result": {"in_flight": np.array([0.0, 2.0])}}, {"joining_prompts_ms": 2}),
        ({"serving": {"reused_tokens": one(5)}}, {"reused_tokens": 5}),
        ({"serving": {"prefix_tokens": np.array([7.0, 0.0])}}, {"prefix_tokens": 7}),
        ({"machine": {"nodes": SimpleNamespace(chips=one(8), bytes_per_s=one(5e10))}},
         {"node_chips": 8, "network_gbps": 50}),
        ({"serving": {"speculation": SimpleNamespace(draft_tokens=3, acceptance=0.5, tokens_per_step=1.875)}},
         {"draft_tokens": 3, "acceptance": 0.5, "tokens_per_step": 1.875}),
        ({"serving": {"speculation": SimpleNamespace(draft_tokens=3, acceptance=0.5, tokens_per_step=1.875)},
          "result": {"draft": SimpleNamespace(decode=SimpleNamespace(pass_s=one(0.002)))}},
         {"draft_tokens": 3, "acceptance": 0.5, "tokens_per_step": 1.875, "draft_ms": 6}),
        ({"users": SimpleNamespace(least_s=(one(0.5), one(0.01)),
                                   limits=SimpleNamespace(ttft_ms=2000.0, tpot_ms=None))},
         {"least_ttft_ms": 500, "least_tpot_ms": 10, "ttft_limit_ms": 2000}),
        ({"users": SimpleNamespace(least_s=(one(0.5), one(0.01)), limits=SimpleNamespace(ttft_ms=None, tpot_ms=50.0))},
         {"least_ttft_ms": 500, "least_tpot_ms": 10, "tpot_limit_ms": 50}),
        ({"model": SimpleNamespace(key="m", published_as="org/m", note="large", max_context=4096, moe=None)},
         {"published_as": "org/m", "note": "large", "max_context_tokens": 4096}),
    ],
)  # fmt: skip
def test_what_only_some_workloads_have_is_told_of_those(told, parts, more):
    assert numbers(told(**parts)) == {**USUAL, **more}


def test_chips_in_several_nodes_are_looked_at_in_one_too():
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Machine:
        nodes: str | None

    @dataclass(frozen=True)
    class Result:
        machine: Machine

        @property
        def decode(self):
            return f"decode in {self.machine.nodes}"

    assert in_one_node(Result(Machine(None)), "decode") is None
    assert in_one_node(Result(Machine("four")), "decode") == "decode in None"


def test_tensors_in_two_memories_are_told_in_gib():
    where = SimpleNamespace(
        held_bytes={"weights": one(2**33), "cache": one(2**30)},
        second_fraction={"weights": one(0.25), "cache": one(0)},
        second_reads={"weights": one(0.125), "cache": one(0)}, read_bytes={"weights": one(2**32), "cache": one(2**29)},
        slowdown={"weights": one(1.5), "cache": one(1)},
    )  # fmt: skip
    found = placement_columns(SimpleNamespace(placement=where))
    assert {name: {key: cell[0] for key, cell in row.items()} for name, row in found.items()} == {
        "weights": {"gib": 8, "second_gib": 2, "second_reads": 0.125, "moved_gib": 4, "slowdown": 1.5},
        "cache": {"gib": 1, "second_gib": 0, "second_reads": 0, "moved_gib": 0.5, "slowdown": 1},
    }


def test_intervals_are_of_times_in_their_order_and_known_where_measured(monkeypatch):
    asked = []

    def ratios(regime, stack, bits, mixture, library):
        asked.append((regime, mixture))
        low = {"decode": 0.5, "prefill": 0.25, "request": math.nan}[regime]
        return SimpleNamespace(low=one(low), high=one(2), rows=3, groups=2, origin="there")

    monkeypatch.setattr(columns, "ratios", ratios)
    metrics = {"request_s": one(9), "ttft_ms": one(100), "tpot_ms": one(10), "decode_w": one(1)}
    made = served(model=SimpleNamespace(moe=None))
    found = interval_columns(made, metrics, "stack", "library")
    assert list(found) == ["tpot_ms", "ttft_ms", "request_s"] and {mixture for _, mixture in asked} == {False}
    assert (found["tpot_ms"]["p10"][0], found["tpot_ms"]["p90"][0]) == (5, 20)
    assert (found["tpot_ms"]["rows"], found["tpot_ms"]["groups"], found["tpot_ms"]["origin"]) == (3, 2, "there")
    assert known_intervals(made, metrics, "stack", "library") == {"tpot_ms": (5, 20), "ttft_ms": (25, 200)}
    interval_columns(served(model=SimpleNamespace(moe="experts")), metrics, "stack", "library")
    assert asked[-1][1] is True and list(interval_columns(made, {"ttft_ms": one(1)}, "", "")) == ["ttft_ms"]


def test_a_row_of_columns_is_plain_and_a_single_row_stands_for_all():
    nested = {
        "numbers": np.array([1.0, math.nan]), "single": one(7), "name": Choice(("a", "b"), np.array([1, -1])),
        "text": "x", "none": None, "flag": np.array([True, False]), "scalar": 3.0, "in": {"deep": np.array([5, 6])},
    }  # fmt: skip
    assert _cell(nested, 0) == {
        "numbers": 1, "single": 7, "name": "b", "text": "x", "none": None, "flag": True, "scalar": 3, "in": {"deep": 5},
    }  # fmt: skip
    second = _cell(nested, 1)
    assert (
        second["numbers"] is math.nan and second["name"] is None and second["flag"] is False and second["single"] == 7
    )
    assert isinstance(second["in"]["deep"], float) and second["in"]["deep"] == 6


def test_what_is_not_held_is_not_told():
    row = {
        "times": 1,
        "ms": 2,
        "share": 1,
        "bytes_moved": 0,
        "macs": 0,
        "ops_per_byte": 0,
        "roofline_fraction": 1,
        "causes_ms": {},
    }
    found = {
        "ms": 2, "bound_ms": 1, "overhead_fraction": 0.5, "spent_ms": {}, "board_j": 1, "board_w": 1,
        "operators": {"a": {**row, "bound": "memory"}, "b": {**row, "bound": None}},
        "energy_j": {"x": 0.0, "held_at_tdp": 0.0}, "power_w": {"x": 0.0, "held_at_tdp": -1.0},
    }  # fmt: skip
    table = _pass_table(found)
    assert [(one.name, one.bound) for one in table.operators] == [("a", "memory"), ("b", "")]
    assert table.energy_j == {"x": 0} and table.power_w == {"x": 0, "held_at_tdp": -1}


def test_metrics_of_a_workload_are_those_with_its_name():
    assert _of_workload("chat", {"chat.a": 1, "chat_2.a": 2, "b": 3, "code.chat.a": 4}) == {"a": 1}


def test_limits_are_told_with_their_margins():
    limits = {"heat": (one(3), one(4))}
    found = machine_columns(SimpleNamespace(limits=limits, blocks={"area_mm2": {"macs": one(9)}}))
    assert found["limits"]["heat"]["used"][0] == 3 and found["limits"]["heat"]["allowed"][0] == 4
    assert found["limits"]["heat"]["margin"][0] == 0.25 and found["blocks"]["area_mm2"]["macs"][0] == 9
    explained = explanation_of(
        {"settings": {"a": one(1)}, "metrics": {}, "workloads": {}, "margins": {"heat": one(0.25)}, **found}, 0,
        name="it", described={},
    )  # fmt: skip
    assert explained.limits["heat"].margin == 0.25 and explained.settings == {"a": 1} and explained.name == "it"
