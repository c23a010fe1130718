"""Margins by hand: how far from a limit, a constraint, the memory, the links and the load."""

from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.performance.disaggregation import Disaggregated
from dse.errors import SpecError
from dse.evaluator import Evaluation
from dse.margins import (
    UNMET,
    capacity_margin,
    check_baselines,
    constraint_margin,
    limit_margins,
    link_margin,
    load_margin,
)
from dse.sweep.goals import ConstraintSpec
from dse.violation import MAX_MISS, MISSING, violation, violations


@pytest.mark.parametrize(
    ("used", "allowed", "margins"),
    [
        ([50.0, 100.0, 150.0], [100.0, 100.0, 100.0], [0.5, 0.0, -0.5]), ([5.0, 0.0, 2.0], [0.0, 0.0, 0.0],
        [-5, 1, -2]),
        ([5.0, 0.0, 5.0, 0.0], [10.0, 10.0, 0.0, 0.0], [0.5, 1.0, -5.0, 1.0]), ([3.0], [2.0], [-0.5]),
    ],
)  # fmt: skip
def test_what_is_left_of_a_limit(used, allowed, margins):
    machine = SimpleNamespace(limits={"x": (np.array(used), np.array(allowed))})
    assert limit_margins(machine)["x"].tolist() == margins


def constraint(**parts):
    return ConstraintSpec.model_construct(
        **{"relative_to": None, "max": None, "min": None, "near": None, **parts}, metric="m"
    )


@pytest.mark.parametrize(
    ("parts", "values", "margins"),
    [
        ({"max": 10.0}, [5, 10, 15], [0.5, 0, -0.5]), ({"min": 10.0}, [5, 10, 15], [-0.5, 0, 0.5]),
        ({"max": -10.0}, [-15, -5], [0.5, -0.5]), ({"min": 0.0}, [-3, 2], [-3, 2]), ({"max": 0.0}, [-3, 2], [3, -2]),
        ({"min": 5.0, "max": 10.0}, [4, 6, 9, 12], [-0.2, 0.2, 0.1, -0.2]),
        ({"near": 10.0, "within": 0.2}, [10, 11, 8, 7], [0.2, 0.1, 0.0, -0.1]),
        ({"max": 2.0, "relative_to": "b"}, [4, 8, 12], [0.5, 0, -0.5]),
        ({"near": 2.0, "within": 0.5, "relative_to": "b"}, [8, 12], [0.5, 0]), ({"max": 10.0}, [np.nan], [np.nan]),
    ],
)  # fmt: skip
def test_how_far_a_constraint_is_kept(parts, values, margins):
    found = constraint_margin(constraint(**parts), {"m": np.array(values, float)}, {"b": {"m": 4.0}})
    assert found.tolist() == pytest.approx(margins, nan_ok=True)


def test_a_baseline_without_the_metric_is_refused():
    one, other = constraint(max=1.0, relative_to="b"), constraint(max=1.0)
    spec = SimpleNamespace(constraints=(other, one), place_of=lambda path: SimpleNamespace())
    check_baselines(spec, {"b": {"m": 3.0}})
    with pytest.raises(SpecError, match=r"constraints\[1\]\.relative_to.*b has no m: the workload does not fit it"):
        spec.place_of = _place
        check_baselines(spec, {"b": {"m": float("nan")}})


def _place(path):
    from dse.errors import NOWHERE

    return NOWHERE


def served(**parts):
    usual = {
        "planned": SimpleNamespace(
            footprint=SimpleNamespace(most_loaded_bytes=np.array([5.0, 10.0, 20.0])), serving=SimpleNamespace(chips=1.0)
        ),
        "machine": SimpleNamespace(capacity_bytes=np.array([10.0]), link_bytes_per_s=np.array([0.0, 1.0, 0.5])),
        "users": None, "limits": None,
    }  # fmt: skip
    return SimpleNamespace(**usual | parts)


def test_the_fuller_of_two_pools_counts():
    one = served()
    assert capacity_margin(one).tolist() == [0.5, 0.0, -1.0]
    first = SimpleNamespace(
        footprint=SimpleNamespace(most_loaded_bytes=np.array([8.0, 2.0, 2.0])),
        machine=SimpleNamespace(capacity_bytes=np.array([10.0])),
    )
    users = object.__new__(Disaggregated)
    object.__setattr__(users, "pool", SimpleNamespace(result=first))
    assert capacity_margin(served(users=users)).tolist() == pytest.approx([0.2, 0.0, -1.0])


@pytest.mark.parametrize(("chips", "margins"), [(1.0, [1, 1, 1]), (2.0, [UNMET, 1, 1]), (1.5, [UNMET, 1, 1])])
def test_chips_that_share_a_model_need_links(chips, margins):
    one = served()
    one.planned.serving.chips = chips
    assert link_margin(one).tolist() == margins


def users(concurrency, arrivals, *, utilisation=0.75, goodput=(0.0,), least=((0.1,), (0.01,))):
    return SimpleNamespace(
        traffic=SimpleNamespace(concurrency=concurrency, arrivals_per_s=arrivals),
        served=SimpleNamespace(utilisation=np.array([utilisation])), goodput_per_s=np.array(goodput),
        least_s=tuple(np.array(one) for one in least),
    )  # fmt: skip


LIMITS = SimpleNamespace(ttft_s=0.2, tpot_s=0.02)


def test_a_load_is_borne_where_the_engine_has_time_left():
    nan = np.nan
    assert load_margin(served()).tolist() == [1]
    assert load_margin(served(users=users(4.0, nan), limits=LIMITS)).tolist() == [1], "who follows one another waits"
    assert load_margin(served(users=users(nan, 5.0))).tolist() == [1], "no promise is made"
    assert load_margin(served(users=users(nan, 5.0), limits=LIMITS)).tolist() == [0.25]
    assert load_margin(served(users=users(nan, 5.0, utilisation=1.5), limits=LIMITS)).tolist() == [-0.5]
    # Where no load is told: how far one request alone is from the limits.
    goodput, first, step = [1.0, 0.0, 0.0, 3.0, 0.0], [0.1, 0.4, 0.1, 0.4, 0.1], [0.01, 0.01, 0.03, 0.01, 0.01]
    found = load_margin(served(users=users(nan, nan, goodput=goodput, least=(first, step)), limits=LIMITS))
    assert found.tolist() == pytest.approx([0.5, -1.0, -0.5, 0.0, UNMET])


def test_misses_are_clipped_summed_and_what_is_missing_counts_most():
    margins = {"a": np.array([0.5, -0.25, -1e9]), "b": np.array([-0.0, -0.5, 0.25])}
    missing = np.array([0, 2, 0])
    found = Evaluation({}, margins, np.zeros((3, 1)), np.zeros(3, bool), missing)
    assert violations(found).tolist() == [[0, 0, 0], [0.25, 0.5, 2 * MISSING], [MAX_MISS, 0, 0]]
    assert violation(found).tolist() == [0, 0.75 + 2 * MISSING, MAX_MISS]
    assert violation(found, without=["a"]).tolist() == [0, 0.5 + 2 * MISSING, 0]
    none = Evaluation({}, margins, np.zeros((3, 1)), np.zeros(3, bool))
    assert violation(none).tolist() == [0, 0.75, MAX_MISS]
