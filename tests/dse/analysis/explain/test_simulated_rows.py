"""Closed form beside simulation, row by row, of users and runs that are made up."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.workload.trace import Trace
from dse.analysis.explain import simulated
from dse.analysis.explain.simulated import SimulatedMetric, simulated_runs
from dse.analysis.simulation import SimulatedRequests
from dse.errors import SpecError

RUN = SimulatedRequests(
    ttft_s=np.arange(1.0, 41.0) / 100,
    tpot_s=np.where(np.arange(40) % 4 == 0, np.nan, 0.02),
    output_tokens=np.full(40, 5.0),
    span_s=8.0,
    mean_requests=1.5,
    timeline=np.zeros((1, 4)),
)


class Pools(SimpleNamespace):
    """Users of two pools."""


class Talkers(SimpleNamespace):
    """Users who talk in turns."""


@pytest.fixture(autouse=True)
def made(monkeypatch):
    """What is simulated, in place of simulating it."""
    asked = []

    def note(kind, result):
        return lambda *given, **options: asked.append((kind, given, options)) or result

    monkeypatch.setattr(simulated, "engine_of", lambda result: SimpleNamespace(chunk_tokens=64.0, most=7))
    monkeypatch.setattr(simulated, "decode_engine", lambda users: SimpleNamespace(chunk_tokens=1e9, most=3))
    monkeypatch.setattr(simulated, "simulate", note("trace", RUN))
    monkeypatch.setattr(simulated, "simulate_surely", note("surely", RUN))
    monkeypatch.setattr(simulated, "simulate_pools", note("pools", RUN))
    monkeypatch.setattr(simulated, "simulate_sessions", note("sessions", (RUN, SimpleNamespace(found=3, asked=4))))
    monkeypatch.setattr(simulated, "Disaggregated", Pools)
    monkeypatch.setattr(simulated, "Conversations", Talkers)
    return asked


def one(value):
    return np.array([float(value)])


def users(kind=SimpleNamespace, rate=2.0, concurrency=math.nan, most=7.0, ttft=0.25, replicas=2.0, **more):
    def wait(mean):
        return SimpleNamespace(mean_s=one(mean), quantile_s=lambda share: one(mean * share * 10))

    served = SimpleNamespace(requests_per_s=one(rate), ttft=wait(ttft), tpot=wait(0.02), concurrency=one(1.25))
    traffic = SimpleNamespace(
        concurrency=one(concurrency), arrival_cv=one(1.5), prompt_cv=one(0.5), output_cv=one(0.75)
    )
    serving = SimpleNamespace(computed_tokens=one(400), prompt_tokens=one(500), output_tokens=one(5))
    return kind(
        served=served, traffic=traffic, result=SimpleNamespace(serving=serving), replicas=one(replicas),
        queue=SimpleNamespace(steps=SimpleNamespace(most=one(most)), capacity_per_s=one(1.2345678)), **more,
    )  # fmt: skip


def runs(asked, trace=None, **options):
    return simulated_runs({"chat": SimpleNamespace(users=asked)}, {"chat": trace}, **options)


def test_rows_are_both_ways_with_their_intervals(made):
    found = runs(users(), requests=50, seed=3)["chat"]
    assert made == [("surely", (made[0][1][0],), {
        "requests": 50, "seed": 3, "prompt_tokens": 400, "output_tokens": 5, "arrivals_per_s": 2, "concurrency": None,
        "arrival_cv": 1.5, "prompt_cv": 0.5, "output_cv": 0.75,
    })]  # fmt: skip
    assert (found.requests, found.chunk_tokens, found.most) == (RUN, 64, 7)
    rows = {row.metric: row for row in found.metrics}
    assert list(rows) == [
        "ttft_ms", "ttft_p50_ms", "ttft_p95_ms", "ttft_p99_ms", "tpot_ms", "tpot_p50_ms", "tpot_p95_ms", "tpot_p99_ms",
        "concurrency", "requests_per_s",
    ]  # fmt: skip
    assert {row.workload for row in found.metrics} == {"chat"}
    told = {name: (row.closed_form, row.simulated) for name, row in rows.items()}
    # Of 10, 20, ... 400 ms the mean is 205 and the quantiles lie in proportion between the values.
    assert told["ttft_ms"] == pytest.approx((250, 205))
    for percent in (50, 95, 99):
        at = 10 + 390 * percent / 100
        assert told[f"ttft_p{percent}_ms"] == pytest.approx((25 * percent, at))
    assert told["tpot_ms"] == pytest.approx((20, 20)) and rows["tpot_ms"].interval == pytest.approx(0, abs=1e-9)
    # Twenty parts of two: their means are 15, 35, ... 395 ms, of variance 400 times that of 20 whole numbers.
    half = 1.96 * 20 * math.sqrt(35) / math.sqrt(20)
    assert rows["ttft_ms"].interval == pytest.approx(half) == rows["ttft_p50_ms"].interval
    # Of two replicas together.
    assert told["concurrency"] == (2.5, 3.0) and told["requests_per_s"] == (4, 40 / 8 * 2)
    assert math.isnan(rows["concurrency"].interval) and math.isnan(rows["requests_per_s"].interval)


@pytest.mark.parametrize(("concurrency", "each"), [(6, 3), (1, 1), (5, 2), (0.5, 1)])
def test_a_closed_loop_is_shared_by_replicas(made, concurrency, each):
    # More than is finished cannot wait in a closed loop.
    runs(users(concurrency=concurrency, ttft=math.inf))
    ((kind, _, options),) = made
    assert (kind, options["arrivals_per_s"], options["concurrency"]) == ("surely", None, each)
    assert (options["requests"], options["seed"]) == (10_000, 0)


def test_a_trace_is_replayed_at_what_of_its_prompts_is_computed(made):
    trace = Trace(np.arange(4.0), np.array([10.0, 20.0, 30.0, 40.0]), np.ones(4))
    runs(users(replicas=1.0), trace)
    ((kind, _, options),) = made
    assert kind == "trace" and options["trace"].prompt_tokens.tolist() == [8, 16, 24, 32]
    assert {name: options[name] for name in options if name != "trace"} == {
        "prompt_tokens": 400, "output_tokens": 5, "arrivals_per_s": 2, "concurrency": None,
    }  # fmt: skip
    made.clear()
    runs(users(replicas=2.0), trace)
    assert len(made[0][2]["trace"].arrival_s) == 2


def test_pools_and_conversations_have_simulations_of_their_own(made):
    found = runs(users(Pools), requests=50, seed=3)["chat"]
    assert (
        made[0][0] == "pools"
        and made[0][2] == {"requests": 50, "seed": 3}
        and (found.chunk_tokens, found.most) == (1e9, 3)
    )
    made.clear()
    found = runs(users(Talkers, hit_share=one(0.5)), requests=50, seed=3)["chat"]
    assert made[0][0] == "sessions" and made[0][2] == {"requests": 150, "seed": 3} and found.most == 7
    (share,) = [row for row in found.metrics if row.metric == "found_share"]
    assert (share.closed_form, share.simulated) == (0.5, 0.75) and math.isnan(share.interval)
    assert isinstance(share, SimulatedMetric)


def test_a_cache_that_nobody_asks_found_nothing(monkeypatch):
    monkeypatch.setattr(
        simulated, "simulate_sessions", lambda *_, **__: (RUN, SimpleNamespace(found=0, asked=0))
    )  # fmt: skip
    rows = runs(users(Talkers, hit_share=one(0.0)))["chat"].metrics
    assert [row.simulated for row in rows if row.metric == "found_share"] == [0]


def test_a_time_that_nobody_has_is_left_out(monkeypatch):
    alone = SimulatedRequests(RUN.ttft_s, np.full(40, np.nan), np.ones(40), 8.0, 1.5, RUN.timeline)
    monkeypatch.setattr(simulated, "simulate_surely", lambda *_, **__: alone)
    metrics = [row.metric for row in runs(users())["chat"].metrics]
    assert not any(name.startswith("tpot") for name in metrics) and metrics[-2:] == ["concurrency", "requests_per_s"]


@pytest.mark.parametrize(
    ("asked", "trace", "says"),
    [
        (None, None, "finds no workload with batching: continuous"),
        (users(most=0.99), None, "finds no workload"), (users(rate=0.0), None, "finds no workload"),
        (users(rate=math.nan), None, "finds no workload"),
        (users(ttft=math.inf), None, "chat has more requests than its chips finish: 1.235 per second"),
        (users(Pools, concurrency=4), None, "follows neither traces nor closed loops"),
        (users(Pools), "trace", "follows neither traces nor closed loops"),
        (users(Talkers, concurrency=4), None, "follows no closed loop"),
    ],
)  # fmt: skip
def test_what_cannot_be_simulated_says_why(asked, trace, says):
    with pytest.raises(SpecError, match=says):
        runs(asked, trace)


def test_workloads_that_cannot_be_simulated_hide_none_that_can():
    results = {
        name: SimpleNamespace(users=one) for name, one in (("a", None), ("b", users(most=0.5)), ("c", users(most=1.0)))
    }
    assert list(simulated_runs(results)) == ["c"]
