"""What is said of a sweep that may run all the same."""

from __future__ import annotations

from typing import Any

import pytest

from cost_models.library import shipped_library
from dse.sweep import parse_spec
from dse.sweep.notices import POISSON_CV, context_warning, warnings_of
from tests.sweeps import small


@pytest.mark.parametrize(
    ("workload", "space", "beyond"),
    [
        ({"arrival_cv": 1.6}, {}, ""),
        ({"arrival_cv": 1.61}, {}, "arrival_cv 1.61 is beyond 1.6"),
        ({}, {"chat.arrival_cv": {"values": [1, 2.5]}}, "arrival_cv 2.5 is beyond 1.6"),
        # A lognormal with a coefficient of variation of 1.5 has its 95th percentile at 3.3083 times its mean.
        ({"output_p95_tokens": 3308}, {}, ""),
        ({"output_p95_tokens": 3309}, {}, "cv of output_tokens 1.5 is beyond 1.5"),
        ({"prompt_p95_tokens": 3800}, {}, "cv of prompt_tokens 2.71"),
        ({}, {"chat.prompt_p95_tokens": {"low": 1100, "high": 3800}}, "cv of prompt_tokens 2.71"),
    ],
)
def test_traffic_beyond_what_was_simulated_is_told(workload: Any, space: Any, beyond: str) -> None:
    chat = {"model": "llama3_70b", "prompt_tokens": 1000, "output_tokens": 1000, "batching": "continuous"}
    spec = parse_spec(
        small(workloads={"chat": {**chat, "arrivals_per_s": 1, **workload}}, space={"memory_devices": 16, **space})
    )
    told = [line for line in warnings_of(spec) if line.startswith("workloads.")]
    assert [f"workloads.chat: WARNING: {beyond}" in line for line in told] == ([True] if beyond else [])


def test_nothing_as_wild_as_exponential_times_is_beyond_what_was_simulated() -> None:
    evidence = shipped_library().evidence
    limits = [limit.typ for path, limit in evidence.items() if path.startswith("serving_checks.most_")]
    assert len(limits) == 2 and min(limits) > POISSON_CV


def test_a_workload_longer_than_its_model_takes_is_told() -> None:
    assert context_warning(4096, 4096) == ""
    assert context_warning(10_000.4, 4096, "x") == "WARNING: 10 000 tokens in and out exceed the 4 096 that x takes"

    def told(space: dict[str, Any], **workload: Any) -> list[str]:
        chat = {"model": "llama2_70b", "prompt_tokens": 2000, "output_tokens": 2096, **workload}
        spec = parse_spec(small(workloads={"chat": chat}, space={"memory_devices": 16, **space}))
        return [line for line in warnings_of(spec) if line.startswith("workloads.")]

    assert told({}) == [] and len(told({}, output_tokens=2097)) == 1
    for axis in ({"low": 1, "high": 2097}, {"values": [1, 2097]}, 2097):
        assert len(told({"chat.output_tokens": axis})) == 1, axis
    for axis in ({"low": 1, "high": 2096}, {"values": [1, 2096]}, 2096, 5):
        assert told({"chat.output_tokens": axis}) == [], axis
