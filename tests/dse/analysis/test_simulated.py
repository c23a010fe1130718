"""``dse explain --simulate``: the closed form beside the simulation."""

import itertools
import json
import math
import re

import numpy as np
import pytest

from dse.analysis.simulated_engine import SimulatedEngine
from dse.analysis.simulation import lengths, simulate
from dse.runs import run
from dse.sweep import parse_spec
from tests.cli import call
from tests.sweeps import tiny

CHIPS = "2x l4 weight_format=fp8"
WORKLOAD = "llama3_8b batching=continuous prompt_tokens=512 output_tokens=64 n_chips=2"


def test_two_replicas_are_simulated_and_the_closed_form_is_near():
    workload = f"{WORKLOAD} parallelism=dp2 arrivals_per_s=3"
    result = call("explain", CHIPS, "--workload", workload, "--simulate", "--format", "json")
    assert result.status == 0, result.err
    rows = {row["metric"]: row for row in json.loads(result.out)}
    assert {"ttft_ms", "ttft_p95_ms", "tpot_p99_ms", "concurrency"} <= rows.keys()
    for name in ("ttft_ms", "tpot_ms", "ttft_p95_ms", "tpot_p95_ms", "concurrency", "requests_per_s"):
        row = rows[name]
        assert row["closed_form"] == pytest.approx(row["simulated"], rel=0.15), name
        assert row["interval"] is None or not math.isnan(row["interval"])


def test_the_timeline_keeps_tokens_time_and_memory(tmp_path):
    one = SimulatedEngine(0.01 + 1e-4 * np.arange(41), 1e-5, 1.2e-5, 512.0, 40)
    run = simulate(one, prompt_tokens=1000, output_tokens=50, arrivals_per_s=8.0, requests=2000, prompt_cv=0.5)
    start, decoding, queued, prompts = run.timeline.T
    assert (np.diff(start) >= 0).all() and decoding.max() <= 40 and prompts.max() <= 512 and queued.max() > 1
    drawn = lengths(1000, 0.5, 2000, np.random.default_rng(0))
    assert prompts.sum() == pytest.approx(drawn.sum())
    mixed = (prompts > 0) & (decoding > 0) & (np.arange(len(start)) < len(start) - 1)
    took = np.diff(start, append=np.nan)[mixed]
    np.testing.assert_allclose(took, 0.01 + 1e-4 * decoding[mixed] + 1e-5 * prompts[mixed], atol=1e-6)


def test_the_timeline_is_drawn(tmp_path):
    words = ("explain", CHIPS, "--workload", f"{WORKLOAD} arrivals_per_s=3", "--simulate", "--plots", str(tmp_path))
    result = call(*words)
    assert result.status == 0, result.err
    (file,) = tmp_path.glob("timeline-*.png")
    assert str(file) in result.err and file.stat().st_size > 10_000


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


def test_goodput_of_none_says_which_limit_a_single_request_breaks():
    def lines(**limits):
        limited = " ".join(f"{name}={value}" for name, value in limits.items())
        result = call("explain", CHIPS, "--workload", f"{WORKLOAD} {limited}", "--format", "table")
        assert result.status == 0, result.err
        # Lines fold at the width of a terminal.
        return " ".join(result.out.split()).split("goodput 0")[1:]

    (first,) = lines(ttft_limit_ms=20, tpot_limit_ms=100)
    least = float(re.search(r"takes ([\d.]+) ms to its first token", first)[1])
    assert "ttft_limit_ms 20" in first and least > 20
    # The least that it names is the least that can be promised.
    assert not lines(ttft_limit_ms=least * 1.01, tpot_limit_ms=100)
    assert lines(ttft_limit_ms=least * 0.99, tpot_limit_ms=100)
    first, token = lines(ttft_limit_ms=20, tpot_limit_ms=2)
    assert "tpot_limit_ms 2," in token and "per token" in token


def test_a_run_whose_limits_no_load_keeps_says_why(tmp_path):
    chat = {"model": "llama3_8b", "batching": "continuous", "ttft_limit_ms": 1, "prompt_tokens": 512}
    least = [{"metric": "chat.goodput_tokens_per_s", "min": 10}]
    goals = [{"metric": "chat.goodput_tokens_per_s", "direction": "maximize"}]
    done = run(parse_spec(tiny(workloads={"chat": chat}, objectives=goals, constraints=least)), out=tmp_path / "run")
    result = call("show", done.path)
    assert "Users of the nearest design" in result.out
    assert "chat: goodput 0: no load keeps ttft_limit_ms 1" in " ".join(result.out.split())
