"""``dse explain --simulate``: the closed form beside the simulation."""

import itertools
import json
import math

import pytest

from tests.cli import call

CHIPS = "2x l4 weight_format=fp8"
WORKLOAD = "llama3_8b batching=continuous prompt_tokens=512 output_tokens=64 n_chips=2"


def test_a_machine_is_simulated_and_the_closed_form_is_near():
    result = call("explain", CHIPS, "--workload", f"{WORKLOAD} arrivals_per_s=3", "--simulate", "--format", "json")
    assert result.status == 0, result.err
    rows = {row["metric"]: row for row in json.loads(result.out)}
    assert {"ttft_ms", "ttft_p95_ms", "tpot_p99_ms", "concurrency"} <= rows.keys()
    for name in ("ttft_ms", "tpot_ms", "ttft_p95_ms", "tpot_p95_ms", "concurrency", "requests_per_s"):
        row = rows[name]
        assert row["closed_form"] == pytest.approx(row["simulated"], rel=0.15), name
        assert row["interval"] is None or not math.isnan(row["interval"])


def test_what_cannot_be_simulated_is_said():
    static = call("explain", CHIPS, "--workload", "llama3_8b batch=4", "--simulate")
    assert static.status == 2 and "batching: continuous" in static.err
    busy = call("explain", CHIPS, "--workload", f"{WORKLOAD} arrivals_per_s=500", "--simulate")
    assert busy.status == 2 and "more requests than its chips finish" in busy.err


def test_a_curve_of_continuous_batching_trades_speed_for_throughput():
    result = call("explain", CHIPS, "--workload", f"{WORKLOAD} arrivals_per_s=3", "--curve", "--format", "json")
    assert result.status == 0, result.err
    (curve,) = json.loads(result.out)
    points = [point for point in curve["points"] if point["batch"] <= 64]
    speeds = [point["user_tokens_per_s"] for point in points]
    rates = [point["metrics"]["tokens_per_s_end_to_end"] for point in points]
    assert len(points) > 8
    assert all(one >= other for one, other in itertools.pairwise(speeds))
    assert all(one < other for one, other in itertools.pairwise(rates))
