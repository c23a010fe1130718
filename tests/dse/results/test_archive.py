from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.table import Table
from dse.evaluator import Evaluation
from dse.results.archive import LEAST_INFEASIBLE, Archive
from dse.results.rows import Rows
from dse.space import Space
from dse.sweep import parse_spec

SPACE = Space(
    parse_spec(
        {
            "name": "keep",
            "workloads": {"chat": {"model": "llama3_8b"}},
            "space": {"macs": {"low": 1024, "high": 4096, "step": 1024}},
            "objectives": [{"metric": "tdp_w", "direction": "minimize"}],
            "search": {"sampler": "grid"},
        }
    )
)


def rows_of(n, seed):
    rng = np.random.default_rng(seed)
    # Coarse values, so that ties and repeats happen.
    objectives = rng.integers(0, 6, (n, 2)).astype(float)
    objectives[rng.random(n) < 0.05] = np.nan
    margin = rng.integers(-5, 5, n) / 4
    feasible = (margin >= 0) & np.isfinite(objectives).all(axis=1)
    designs = {"macs": 1024.0 * rng.integers(1, 5, n)}
    evaluation = Evaluation({"tdp_w": objectives[:, 0]}, {"margin": margin}, objectives, feasible)
    return Rows(np.arange(n, dtype=np.int64), Table(designs), evaluation)


def kept(rows, piece):
    keeper = Archive(SPACE, 2, sample=10)
    for start in range(0, len(rows), piece):
        keeper.add(rows.take(np.arange(start, min(start + piece, len(rows)))))
    return keeper


def front_by_hand(rows):
    points = [tuple(point) for point in rows.evaluation.objectives]
    feasible = [i for i in range(len(rows)) if rows.evaluation.feasible[i]]

    def beaten(i):
        return any(
            (points[j][0] <= points[i][0] and points[j][1] <= points[i][1]) and (points[j] != points[i] or j < i)
            for j in feasible
            if j != i
        )

    return [i for i in feasible if not beaten(i)]


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(0, 20), st.integers(1, 70))
def test_the_front_of_a_stream_is_the_front_of_the_whole(n, seed, piece):
    rows = rows_of(n, seed)
    keeper = kept(rows, piece)
    ids = [] if keeper.front is None else list(keeper.front.ids)
    assert ids == front_by_hand(rows) and keeper.front_size == len(ids)
    if ids:
        assert np.array_equal(keeper.front.evaluation.objectives, rows.evaluation.objectives[ids])


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(0, 20), st.integers(1, 70))
def test_the_nearest_misses_are_the_nearest_each_once(n, seed, piece):
    rows = rows_of(n, seed)
    misses = kept(rows, piece).misses
    distance = rows.violation
    by_hand = {}
    for i in sorted(np.flatnonzero(~rows.evaluation.feasible), key=lambda i: (distance[i], i)):
        by_hand.setdefault(rows.designs["macs"][i], int(i))
    expected = list(by_hand.values())[:LEAST_INFEASIBLE]
    assert ([] if misses is None else list(misses.ids)) == expected


def test_the_volume_never_shrinks():
    keeper = Archive(SPACE, 2, sample=10)
    rows = rows_of(300, 3)
    volumes = []
    for start in range(0, 300, 10):
        keeper.add(rows.take(np.arange(start, start + 10)))
        volumes.append(keeper.hypervolume())
    assert all(a <= b for a, b in pairwise(volumes)) and volumes[-1] > 0
