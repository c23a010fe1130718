"""Two pools of chips in simulation, against Lindley's recursion request by request and pools of made numbers."""

from types import SimpleNamespace

import numpy as np
import pytest

from dse.analysis import pool_simulation
from dse.analysis.pool_simulation import MANY_TOKENS, _departures, decode_engine, simulate_pools
from dse.analysis.simulated_engine import SimulatedEngine
from dse.analysis.simulation import lengths, simulate

ENGINE = SimulatedEngine(np.array([0.0, *(0.01 + 0.001 * np.arange(8))]), 1e-4, 1e-4, 64.0, 8, wait_s=0.3)


def test_a_single_server_serves_one_after_the_other():
    arrival, service = np.array([0.0, 1.0, 1.5, 9.0, 9.5]), np.array([2.0, 1.0, 0.5, 1.0, 3.0])
    done = 0.0
    expected = []
    for came, takes in zip(arrival, service, strict=True):
        done = max(done, came) + takes
        expected.append(done)
    assert _departures(arrival, service).tolist() == pytest.approx(expected) == [2, 3, 3.5, 10, 13]


@pytest.fixture
def engine(monkeypatch):
    monkeypatch.setattr(pool_simulation, "engine_of", lambda result: ENGINE)


def users(
    rate=4.0, per_pool=1.5, prompts=1.0, cv=1.0, prompt_cv=0.0, output_cv=0.0, busy_s=0.2, ready_s=0.537, wait_s=0.1
):
    one = lambda value: np.array([value])  # noqa: E731
    return SimpleNamespace(
        result=SimpleNamespace(serving=SimpleNamespace(computed_tokens=one(40.0), output_tokens=one(20.0))),
        served=SimpleNamespace(requests_per_s=one(rate)),
        prefill_per_s=one(per_pool),
        pool=SimpleNamespace(
            prompts=one(prompts), result=SimpleNamespace(software=SimpleNamespace(wait_s=one(wait_s)))
        ),
        traffic=SimpleNamespace(arrival_cv=one(cv), prompt_cv=one(prompt_cv), output_cv=one(output_cv)),
        busy_s=one(busy_s),
        ready_s=one(ready_s),
    )


def test_prompts_are_free_where_other_chips_read_them(engine):
    found = decode_engine(users())
    assert (found.prompt_token_s, found.alone_token_s, found.chunk_tokens, found.wait_s) == (0, 0, MANY_TOKENS, 0)
    assert found.decode_s is ENGINE.decode_s and found.most == 8


def by_hand(rate, each, cv, prompt_cv, busy_s, ready_s, wait_s, requests, seed):
    """Arrivals, departures and prompts of the prefill pool, replica by replica and request by request."""
    rng, replicas = np.random.default_rng(seed), int(np.ceil(rate / each))
    share = rate / (replicas * each)
    count = int(np.ceil(1.05 * requests / (share * replicas)))
    passed = []
    for _ in range(replicas):
        gaps = rng.gamma(1 / cv**2, cv**2 / each, count)
        tokens = lengths(40, prompt_cv, count, rng)
        kept = rng.random(count) < share
        now, free = 0.0, 0.0
        for gap, prompt, mine in zip(gaps, tokens, kept, strict=True):
            now += gap
            begin = max(now, free)
            free = begin + busy_s * prompt / 40
            if mine:
                passed.append((begin + (ready_s - wait_s) * prompt / 40 + wait_s, now, prompt))
    return sorted(passed)[:requests], rng


@pytest.mark.parametrize(
    ("rate", "each", "cv", "prompt_cv"), [(4.0, 1.5, 1.0, 0.0), (1.0, 2.0, 2.0, 0.5), (3.0, 1.0, 0.5, 0.0)]
)
def test_requests_pass_a_prefill_pool_and_then_decode(engine, rate, each, cv, prompt_cv):
    found = simulate_pools(users(rate, 2 * each, 2.0, cv=cv, prompt_cv=prompt_cv, output_cv=0.5), requests=60, seed=5)
    passed, rng = by_hand(rate, each, cv, prompt_cv, 0.2, 0.537, 0.1, 60, 5)
    left, came, prompts = (np.array(column) for column in zip(*passed, strict=True))
    # All that left are asked for as many tokens as are drawn next, and begin to decode between two steps.
    outputs = lengths(20.0, 0.5, 60, rng)
    assert found.output_tokens.tolist() == np.ceil(outputs).tolist() and len(found.ttft_s) == 60
    waits = found.ttft_s - (left - came)
    assert (waits >= -1e-9).all() and waits.max() < 0.5 and waits.min() == pytest.approx(0, abs=1e-9)
    rate_seen = 59 / (left[-1] - left[0])
    assert found.span_s == pytest.approx(59 / rate_seen)
    # Inside are those that decode and, by Little's law, those that are read.
    alone = replayed(left, prompts, outputs)
    assert found.mean_requests == pytest.approx(alone.mean_requests + rate * (left - came).mean())
    assert waits.tolist() == pytest.approx(alone.ttft_s.tolist())


def replayed(left, prompts, outputs):
    from cost_models.workload.trace import Trace

    trace = Trace(left - left[0], prompts, outputs)
    return simulate(
        decode_engine(users()), prompt_tokens=40, output_tokens=20, arrivals_per_s=trace.arrivals_per_s, trace=trace
    )
