import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.table import Choice, Table
from dse.evaluator import Evaluation
from dse.packing import packed, read_packed
from dse.results import archive as archive_module
from dse.results.archive import LEAST_INFEASIBLE, Archive
from dse.results.rows import Rows, stride_for
from dse.space import Space
from dse.sweep import parse_spec
from tests.dse.results.streams import archived, firsts
from tests.sweeps import small

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


TWO_AXES = Space(parse_spec(small(
    space={"memory": {"values": ["hbm3", "lpddr5x_9600"]}, "memory_device_gib": 8, "sram_mib": {"low": 1, "high": 640}},
)))  # fmt: skip


def keeper(**more):
    return Archive(TWO_AXES, 2, **{"sample": 16, **more})


def box_by_hand(rows, first):
    good = [i for i in range(first) if rows.evaluation.feasible[i]]
    points = rows.evaluation.objectives[good]
    return points.min(axis=0), [w + 0.1 * (abs(w) if w else 1.0) for w in points.max(axis=0)]


def volume(points, best, worst):
    """The share of the box that points dominate, by a sweep along the first objective."""
    inside = sorted({tuple(p) for p in points if (p < worst).all()})
    area, height = 0.0, worst[1]
    for x, y in inside:
        if y < height:
            area += (worst[0] - x) * (height - y)
            height = y
    return area / ((worst[0] - best[0]) * (worst[1] - best[1]))


@pytest.mark.parametrize(
    ("n", "seed", "values"), [(5, 0, 640), (300, 1, 640), (900, 2, 30), (900, 3, 3), (1500, 4, 640)]
)
def test_an_archive_keeps_what_a_plain_twin_keeps(n, seed, values, monkeypatch):
    monkeypatch.setattr(archive_module, "FIRST_LOOKED_AT", 25)
    rows = archived(n, seed, values)
    found, points = rows.evaluation, rows.evaluation.objectives
    good = np.flatnonzero(found.feasible).tolist()

    def beaten(i):
        return any((points[k] <= points[i]).all() and ((points[k] < points[i]).any() or k < i) for k in good if k != i)

    front = [i for i in good if not beaten(i)]
    missed = [i for i in range(n) if not found.feasible[i]]
    nearest = firsts(rows, sorted(missed, key=lambda i: (rows.violation[i], i)), 20)
    tops = [firsts(rows, sorted(good, key=lambda i: (points[i, k], i)), 20) for k in range(2)]

    def check(one):
        assert one.front_size == len(front)
        assert ([] if one.front is None else one.front.ids.tolist()) == front
        assert ([] if one.misses is None else one.misses.ids.tolist()) == nearest
        assert [[] if top is None else top.ids.tolist() for top in one.tops] == tops
        assert one.sample.ids.tolist() == list(range(0, n, stride_for(n, 16)))
        assert one.tally.evaluated == n and one.tally.feasible == len(good)
        assert one.parameters_read == {"a", "b"}

    def add(one, start, stop, path):
        one.add(rows.take(np.arange(start, stop)))
        one.parameters_read |= {path}
        return one

    whole = keeper()
    add(whole, 0, n, "a")
    whole.parameters_read |= {"b"}
    check(whole)
    step = max(1, n // 4)
    pieces, merged, shifted = keeper(), keeper(), keeper()
    for number, start in enumerate(range(0, n, step)):
        stop = min(start + step, n)
        add(pieces, start, stop, "ab"[number % 2])
        later = add(keeper(), start, stop, "ab"[number % 2])
        merged.merge(again_of(later))
    cut_at = 128 if n > 128 else 0
    own = keeper(total=n)
    if cut_at:
        add(shifted, 0, cut_at, "a")
    part = rows.take(np.arange(cut_at, n))
    own.add(Rows(part.ids - cut_at, part.designs, part.evaluation))
    own.parameters_read |= {"a", "b"}
    shifted.merge(own, offset=cut_at)
    pieces.parameters_read |= {"a", "b"}
    merged.parameters_read |= {"a", "b"}
    for one in (pieces, merged, shifted, again_of(whole)):
        check(one)
    if good:
        best, worst = box_by_hand(rows, n)
        expected = volume(points[front], best, np.array(worst))
        assert whole.hypervolume() == pytest.approx(expected) and again_of(whole).hypervolume() == pytest.approx(
            expected
        )
        monkeypatch.setattr(archive_module, "MAX_FRONT_FOR_VOLUME", {2: len(front)})
        assert whole.hypervolume() == pytest.approx(expected)
        monkeypatch.setattr(archive_module, "MAX_FRONT_FOR_VOLUME", {2: len(front) - 1})
        assert math.isnan(whole.hypervolume())


def again_of(one):
    return keeper().restore(read_packed(packed(one.state()), "it"))


def feasible(ids, objectives):
    objectives = np.array(objectives, float)
    n = len(objectives)
    designs = Table(
        {"memory": Choice(("hbm3", "lpddr5x_9600"), np.zeros(n, np.intp)), "sram_mib": np.array(ids, float)}
    )
    found = Evaluation({"cost_usd": objectives[:, 0]}, {"limit": np.ones(n)}, objectives, np.ones(n, bool))
    return Rows(np.array(ids), designs, found)


@pytest.mark.parametrize(("objectives", "longest"), [(2, math.inf), (3, 200_000), (4, 5000), (5, 1000), (6, 300)])
def test_the_volume_of_a_front_is_taken_up_to_a_length(objectives, longest):
    for count in (300, 301):
        # All but the first two are the same in every design and span the whole of the box.
        points = np.array([(place, count - place) + (5,) * (objectives - 2) for place in range(count)])
        one = Archive(TWO_AXES, objectives, sample=16)
        one.add(feasible(range(count), points))
        flat = points[:, :2]
        best, worst = box_by_hand(feasible(range(count), flat), count)
        expected = volume(flat, best, np.array(worst)) if count <= longest else math.nan
        assert one.front_size == count and one.hypervolume() == pytest.approx(expected, nan_ok=True)


def test_the_box_of_the_volume_is_that_of_the_first_feasible_designs():
    one = keeper()
    assert math.isnan(one.hypervolume())
    one.add(feasible([0, 1], [[-1, 0], [-4, -2]]))
    # To 0.1 beyond the worst of either, -1 + 0.1 and 0 + 0.1: the second point spans the whole of it.
    assert one._box[0].tolist() == [-4, -2] and one._box[1].tolist() == pytest.approx([-0.9, 0.1])
    assert one.hypervolume() == pytest.approx(1)
    one.add(feasible([2], [[-8, -2]]))
    assert one.hypervolume() == pytest.approx((8 - 0.9) / (4 - 0.9)), "better than all of the first: more than all"
    two = keeper()
    two.merge(one)
    assert two.hypervolume() == one.hypervolume()
