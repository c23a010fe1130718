"""A discrete-event simulation of prefill and decode on different chips: the twin of `Disaggregated`.

Prompts wait for one of the prefill pool's replicas (Lindley's recursion), cross the network, and are replayed as the
arrivals of one decode replica, whose steps no prompt joins.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cost_models.performance.disaggregation import Disaggregated
from cost_models.table import FloatArray, first_number
from cost_models.workload.trace import Trace
from dse.analysis.simulated_engine import SimulatedEngine, engine_of
from dse.analysis.simulation import SimulatedRequests, lengths, simulate

MANY_TOKENS = 1e9
"""Prompt tokens that a step takes where they cost nothing."""


def decode_engine(users: Disaggregated) -> SimulatedEngine:
    """Return one replica of the decode pool: prompts that arrive are read already."""
    engine = engine_of(users.result)
    return replace(engine, prompt_token_s=0.0, alone_token_s=0.0, chunk_tokens=MANY_TOKENS, wait_s=0.0)


def simulate_pools(users: Disaggregated, *, requests: int, seed: int = 0) -> SimulatedRequests:
    """Return what users of one decode replica and its part of the prefill pool see, of one row.

    Replicas of the prefill pool stand in whole numbers, each at the load that it is sized for; what they read beyond
    the load of one decode replica goes to others.

    Args:
        users: the pools and their load.
        requests: how many reach the decode replica, of which the first fifth warms up.
        seed: of arrivals, lengths and routes.
    """
    rng, serving = np.random.default_rng(seed), users.result.serving
    rate, each = first_number(users.served.requests_per_s), first_number(users.prefill_per_s / users.pool.prompts)
    replicas = int(np.ceil(rate / each))
    share = rate / (replicas * each)
    prompt, output = first_number(serving.computed_tokens), first_number(serving.output_tokens)
    traffic = users.traffic
    cv, prompt_cv, output_cv = (first_number(one) for one in (traffic.arrival_cv, traffic.prompt_cv, traffic.output_cv))
    busy_s, wait_s = first_number(users.busy_s), first_number(users.pool.result.software.wait_s)
    ready_s = first_number(users.ready_s) - wait_s
    count = int(np.ceil(1.05 * requests / (share * replicas)))
    came, left, asked = [], [], []
    for _ in range(replicas):
        arrival = np.cumsum(rng.gamma(1 / cv**2, cv**2 / each, count))
        tokens = lengths(prompt, prompt_cv, count, rng)
        service = busy_s * tokens / prompt
        kept = rng.random(count) < share
        came.append(arrival[kept])
        # Prefill and crossing take their time, of which the longer one holds up who follows.
        left.append((_departures(arrival, service) - service + ready_s * tokens / prompt + wait_s)[kept])
        asked.append(tokens[kept])
    arrival, departure, tokens = (np.concatenate(parts) for parts in (came, left, asked))
    order = np.argsort(departure, kind="stable")[:requests]
    arrival, departure, tokens = arrival[order], departure[order], tokens[order]
    trace = Trace(departure - departure[0], tokens, lengths(output, output_cv, len(order), rng))
    run = simulate(
        decode_engine(users), prompt_tokens=prompt, output_tokens=output, arrivals_per_s=trace.arrivals_per_s,
        trace=trace, seed=seed,
    )  # fmt: skip
    before = (departure - arrival)[-len(run.ttft_s) :]
    inside = run.mean_requests + rate * float(before.mean())
    return replace(run, ttft_s=run.ttft_s + before, mean_requests=inside)


def _departures(arrival_s: FloatArray, service_s: FloatArray) -> FloatArray:
    """Return when each is through a single server, first come first served (Lindley): max over i of A_i + S_i..k."""
    done = np.cumsum(service_s)
    return np.asarray(done + np.maximum.accumulate(arrival_s - done + service_s))
