"""One front, however it is found: by brute force, in chunks, in blocks, in processes, on Dask, pruned or not."""

import contextlib
import importlib.util

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dse.parallelism import Parallelism
from dse.runs import explore
from dse.search.blocks import SearchContext
from dse.sweep import parse_spec
from tests.sweeps import SHORT_CHAT

GIB = {"lpddr5x_9600": [8, 16], "gddr6_16": [1, 2], "hbm3": [16, 24]}
DASK = importlib.util.find_spec("distributed") is not None


@pytest.fixture(scope="module")
def spreads():
    """Where designs are evaluated: processes of joblib, and two workers of a Dask scheduler where Dask is installed."""
    with contextlib.ExitStack() as stack:
        result = [Parallelism(jobs=2)]
        if DASK:
            from distributed import LocalCluster

            cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
            result.append(Parallelism(0, "dask", stack.enter_context(cluster).scheduler_address))
        yield result


@st.composite
def sweeps(draw):
    """Small spaces with conditions; equal objectives (two methods of one format) and repeated designs (sobol) occur."""
    memories = draw(st.lists(st.sampled_from(list(GIB)), min_size=1, max_size=3, unique=True))
    levels = draw(st.integers(2, 4))
    sampler = draw(st.sampled_from(["grid", "sobol", "random"]))
    budget = {} if sampler == "grid" else {"n_designs": 512, "seed": draw(st.integers(0, 3))}
    objectives = draw(
        st.lists(st.sampled_from(["chat.tpot_ms", "cost_usd", "tdp_w", "die_mm2"]), min_size=1, max_size=4, unique=True)
    )
    return {
        "name": "exact",
        "workloads": SHORT_CHAT,
        "space": {
            "memory": {"values": memories},
            "memory_devices": {"low": 1, "high": draw(st.integers(2, 12)), "step": 1},
            "memory_device_gib": [{"values": GIB[memory], "when": {"memory": [memory]}} for memory in memories],
            "macs": {"low": 8192, "high": 131072, "log": True, "levels": levels},
            "weight_format": {"values": ["int4_g128", "bf16"]},
            "weight_method": {"values": ["gptq", "omniquant"], "when": {"weight_format": ["int4_g128"]}},
        },
        "objectives": [{"metric": metric, "direction": "minimize"} for metric in objectives],
        "constraints": [{"metric": "chat.tpot_ms", "max": draw(st.sampled_from([1e-3, 10, 20, 60]))}],
        "results": {"keep_all_up_to": 20},
        "search": {"sampler": sampler, **budget},
    }


def by_definition(found):
    """Return the front of evaluated designs by its definition, of equal ones the first."""
    good = np.flatnonzero(found.feasible)
    points = found.objectives[good]
    front, seen = [], set()
    for place, point in zip(good.tolist(), points, strict=True):
        beaten = ((points <= point).all(axis=1) & (points < point).any(axis=1)).any()
        if not beaten and tuple(point) not in seen:
            seen.add(tuple(point))
            front.append(place)
    return front


def ids(rows):
    return [] if rows is None else rows.ids.tolist()


@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sweep=sweeps(), chunk=st.integers(7, 90), block=st.integers(1, 5))
def test_every_way_finds_the_same_front(spreads, sweep, chunk, block):
    spec = parse_spec(sweep)
    work = SearchContext(spec)
    front = by_definition(work.judge(work.sampler.rows(0, work.sampler.total)))
    whole = explore(spec)
    outcomes = [explore(spec, spread=spread) for spread in spreads]
    pieces = Parallelism(chunk_rows=chunk, block_rows=chunk * block, least_gain=2)
    outcomes.append(explore(spec, spread=pieces))
    if sweep["search"]["sampler"] == "grid":
        pruning = {"sampler": "grid", "options": {"prune": True}}
        pruned = explore(parse_spec({**sweep, "search": pruning}), spread=pieces)
        assert ids(pruned.front) == front and pruned.feasible == whole.feasible
    assert ids(whole.front) == front
    for outcome in outcomes:
        assert ids(outcome.front) == front
        assert [ids(rows) for rows in outcome.top.values()] == [ids(rows) for rows in whole.top.values()]
        assert outcome.margins == whole.margins
        assert repr(outcome.constraints) == repr(whole.constraints) and repr(outcome.values) == repr(whole.values)
