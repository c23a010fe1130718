"""A workload that is batched continuously, in closed form beside the simulation of the same engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from cost_models.performance.conversations import Conversations
from cost_models.performance.disaggregation import Disaggregated
from cost_models.performance.workload_result import WorkloadResult
from cost_models.table import FloatArray, first_number
from cost_models.workload.trace import Trace
from dse.analysis.pool_simulation import decode_engine, simulate_pools
from dse.analysis.session_simulation import simulate_sessions
from dse.analysis.simulated_engine import SimulatedSessions, engine_of
from dse.analysis.simulation import SimulatedRequests, simulate, simulate_surely
from dse.errors import NOWHERE, Issue, SpecError

REQUESTS = 10_000
"""Requests of a simulation."""

SESSIONS_TIMES = 3
"""So many more turns of conversations: a cache takes time to fill."""


@dataclass(frozen=True)
class SimulatedMetric:
    """One metric of a workload, both ways.

    Attributes:
        workload: its name.
        metric: name of the metric.
        closed_form: what sweeps use.
        simulated: what the simulation measured.
        interval: half-width of its 95 % confidence interval.
    """

    workload: str
    metric: str
    closed_form: float
    simulated: float
    interval: float


@dataclass(frozen=True)
class SimulatedRun:
    """A workload that was simulated.

    Attributes:
        metrics: both ways.
        requests: what the simulation saw of one replica.
        chunk_tokens: most prompt tokens of a step.
        most: requests that the memory holds.
    """

    metrics: list[SimulatedMetric]
    requests: SimulatedRequests
    chunk_tokens: float
    most: int


def simulated_runs(
    results: Mapping[str, WorkloadResult],
    traces: Mapping[str, Trace | None] = MappingProxyType({}),
    *,
    requests: int = REQUESTS,
    seed: int = 0,
) -> dict[str, SimulatedRun]:
    """Return every continuously batched workload of one machine, in closed form and simulated, by name.

    Args:
        results: by workload, of one row each.
        traces: requests to replay, by workload; drawn at random where None.
        requests: requests of each run of a simulation.
        seed: of arrivals and lengths.

    Raises:
        SpecError: no workload is batched continuously, or one has more load than its chips finish.
    """
    runs = {
        name: run
        for name, one in results.items()
        if one.users and (run := _simulated(name, one, traces.get(name), requests, seed)) is not None
    }
    if not runs:
        what = "finds no workload with batching: continuous that the chips hold and whose load is above 0"
        raise SpecError([Issue(NOWHERE, "--simulate", what, perhaps="batching: continuous, arrivals_per_s: 1")])
    return runs


def _simulated(name: str, result: WorkloadResult, trace: Trace | None, requests: int, seed: int) -> SimulatedRun | None:
    users = result.users
    assert users is not None
    seen, traffic, serving = users.served, users.traffic, users.result.serving
    rate, closed = first_number(seen.requests_per_s), first_number(traffic.concurrency)
    if first_number(users.queue.steps.most) < 1 or not rate > 0:
        return None
    if math.isnan(closed) and not np.isfinite(seen.ttft.mean_s).all():
        what = (
            f"{name} has more requests than its chips finish: {first_number(users.queue.capacity_per_s):.4g} per second"
        )
        raise SpecError([Issue(NOWHERE, "--simulate", what)])
    replicas = first_number(users.replicas)
    cache: SimulatedSessions | None = None
    engine, closed_loop = engine_of(users.result), not math.isnan(closed)
    drawn: dict[str, Any] = {
        "prompt_tokens": first_number(serving.computed_tokens),
        "output_tokens": first_number(serving.output_tokens),
        "arrivals_per_s": None if closed_loop else rate,
        "concurrency": max(round(closed / replicas), 1) if closed_loop else None,
    }
    if isinstance(users, Disaggregated):
        if trace is not None or closed_loop:
            what = f"draws arrivals for {name}, whose pools are two; it follows neither traces nor closed loops there"
            raise SpecError([Issue(NOWHERE, "--simulate", what)])
        run, engine = simulate_pools(users, requests=requests, seed=seed), decode_engine(users)
    elif isinstance(users, Conversations):
        if closed_loop:
            what = f"draws conversations for {name} that begin at random; it follows no closed loop there"
            raise SpecError([Issue(NOWHERE, "--simulate", what)])
        run, cache = simulate_sessions(users, requests=SESSIONS_TIMES * requests, seed=seed)
    elif trace is not None:
        # Of every prompt the same share is cached.
        computed = trace.prompt_tokens * (first_number(serving.computed_tokens) / first_number(serving.prompt_tokens))
        run = simulate(engine, trace=replace(trace, prompt_tokens=computed).of_replica(round(replicas)), **drawn)
    else:
        drawn |= {name: first_number(getattr(traffic, name)) for name in ("arrival_cv", "prompt_cv", "output_cv")}
        run = simulate_surely(engine, requests=requests, seed=seed, **drawn)
    rows: list[SimulatedMetric] = []
    for time, wait, measured in (("ttft", seen.ttft, run.ttft_s), ("tpot", seen.tpot, run.tpot_s)):
        known = measured[np.isfinite(measured)]
        if not len(known):
            continue
        rows.append(_row(name, f"{time}_ms", first_number(wait.mean_s) * 1e3, run, known * 1e3, np.mean))
        for percent in (50, 95, 99):
            told = first_number(wait.quantile_s(percent / 100)) * 1e3
            rows.append(_row(name, f"{time}_p{percent}_ms", told, run, known * 1e3, _quantile(percent)))
    if isinstance(users, Conversations) and cache is not None:
        found = cache.found / max(cache.asked, 1)
        rows.append(SimulatedMetric(name, "found_share", first_number(users.hit_share), found, math.nan))
    inside = first_number(seen.concurrency) * replicas
    rows.append(SimulatedMetric(name, "concurrency", inside, run.mean_requests * replicas, math.nan))
    finished = len(run.ttft_s) / run.span_s * replicas
    rows.append(SimulatedMetric(name, "requests_per_s", rate * replicas, finished, math.nan))
    return SimulatedRun(rows, run, engine.chunk_tokens, engine.most)


def _row(
    name: str,
    metric: str,
    told: float,
    run: SimulatedRequests,
    measured: FloatArray,
    statistic: Callable[[FloatArray], float],
) -> SimulatedMetric:
    return SimulatedMetric(name, metric, told, float(statistic(measured)), run.interval(measured, statistic))


def _quantile(percent: int) -> Callable[[FloatArray], float]:
    return lambda measured: float(np.quantile(measured, percent / 100))
