"""What makes infeasible sweeps feasible, of designs that are points: problems whose answers are known on paper."""

from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.table import Table
from dse.analysis.nearest import Best, CandidatePool
from dse.analysis.relaxation import constraints
from dse.analysis.relaxation.constraints import RelaxedBound, _given, explain_infeasible, rounded
from dse.evaluator import Evaluation
from dse.margins import constraint_margin
from dse.results.rows import Rows
from dse.sweep import ConstraintSpec


def bound(metric, **sides):
    return ConstraintSpec.model_construct(metric=metric, **sides)


CHEAP, FAST = bound("cost", max=16.0), bound("time", max=16.0)
"""Both wanted of designs that trade one for the other."""


class Points:
    """An evaluator of designs that are points (cost, time); `macs` counts them."""

    def __init__(self, points, asked=(CHEAP, FAST), missing=None, **limits):
        self.points, self.limits = np.array(points, dtype=float).reshape(-1, 2), limits
        objectives = [SimpleNamespace(metric=name) for name in ("cost", "time", "area")]
        self.spec = SimpleNamespace(constraints=list(asked), objectives=objectives)
        self.baselines, self.missing = {"pair": {"cost": 10.0, "time": 4.0}}, missing

    def evaluate(self, designs, *, metrics=None):
        place = np.asarray(designs["macs"]).astype(int)
        columns = dict(zip(("cost", "time"), self.points[place].T, strict=True)) | {"area": 5.0 + place}
        margins = {name: np.array(limit, dtype=float)[place] for name, limit in self.limits.items()}
        for one in self.spec.constraints:
            margins[one.label] = np.nan_to_num(constraint_margin(one, columns, self.baselines), nan=-1.0)
        feasible = np.all([margin >= 0 for margin in margins.values()], axis=0)
        missing = None if self.missing is None else np.array(self.missing)[place]
        return Evaluation(columns, margins, self.points[place], feasible, missing)

    def pool(self):
        table = Table({"macs": np.arange(float(len(self.points)))})
        rows = Rows(np.arange(len(self.points)), table, self.evaluate(table))
        return CandidatePool(None, self, rows, True)


@pytest.fixture
def why(monkeypatch):
    """Explain points in place of a sweep's designs; no axis is extended unless told how."""

    def why(made, extensions=None):
        monkeypatch.setattr(constraints, "CandidatePool", SimpleNamespace(of=lambda spec: made.pool()))
        if extensions is None:
            return explain_infeasible(made.spec, extend=False)
        monkeypatch.setattr(constraints, "_axis_extensions", lambda pool: extensions)
        return explain_infeasible(made.spec)

    return why


def gives(relaxation):
    return {given.key: given.new_bound for given in relaxation.gives}


def test_a_compromise_asks_less_of_both_than_either_end(why):
    found = why(Points([(10, 40), (20, 20), (40, 10)]))
    assert [gives(one) for one in found.relaxations] == [
        {"constraints[0].max": 20, "constraints[1].max": 20}, {"constraints[0].max": 40}, {"constraints[1].max": 40},
    ]  # fmt: skip
    assert [one.by for one in found.relaxations] == [0.25, 1.5, 1.5]
    assert found.smallest is found.relaxations[0] and found.stuck == found.unbuildable == found.axis_extensions == ()
    assert found.met_by is None
    assert found.smallest.gives == (
        RelaxedBound("cost <= 16", "constraints[0].max", 16.0, 20.0, 0.25),
        RelaxedBound("time <= 16", "constraints[1].max", 16.0, 20.0, 0.25),
    )
    assert found.smallest.overrides == ["constraints[0].max=20.0", "constraints[1].max=20.0"]
    assert found.smallest.metrics == {"cost": 20, "time": 20, "area": 6} and found.smallest.searched == 3
    assert found.smallest.design["macs"] == 1


def test_a_pair_must_ask_less_of_each(why):
    # Either alone gives by a quarter, and the third design asks more of both.
    found = why(Points([(20, 10), (10, 20), (22, 22)]))
    assert [gives(one) for one in found.relaxations] == [{"constraints[0].max": 20}, {"constraints[1].max": 20}]
    # A design that misses both, one of them by a rounding, asks no less than who misses one.
    both = why(Points([(20, np.nextafter(16, 17)), (20, 10)]))
    assert [gives(one) for one in both.relaxations] == [{"constraints[0].max": 20}] and both.stuck == ("time <= 16",)
    # Where one alone never suffices the other one decides, where neither does, nothing.
    assert [len(one.gives) for one in why(Points([(20, 20), (10, 100)])).relaxations] == [2, 1]
    assert [len(one.gives) for one in why(Points([(100, 100), (10, 20)])).relaxations] == [1]
    neither = why(Points([(18, 20)]))
    assert [len(one.gives) for one in neither.relaxations] == [2] and neither.stuck == ("cost <= 16", "time <= 16")
    assert neither.smallest.by == 0.25


def test_the_larger_miss_decides_and_the_sum_breaks_ties(why):
    # Misses of 0.25 and 0.5, 0.375 twice, 0.5 and 0.4375.
    assert gives(why(Points([(20, 24), (22, 22), (24, 23)])).smallest) == {
        "constraints[0].max": 22, "constraints[1].max": 22,
    }  # fmt: skip
    assert why(Points([(22, 22), (22, 20), (22, 21)])).smallest.design["macs"] == 1
    # 0.375 twice are less than 0.4 and 0.1, and 0.25 twice less than 0.2504 beside a bound with much to spare.
    assert why(Points([(22.4, 17.6), (22, 22)])).smallest.design["macs"] == 1
    assert gives(why(Points([(16 * 1.2504, 5), (20, 20)])).smallest) == {
        "constraints[0].max": 20, "constraints[1].max": 20,
    }  # fmt: skip


def test_limits_never_give_and_what_has_no_value_proves_nothing(why):
    found = why(Points([(10, 40), (18, 18), (40, 10)], heat=[0.0, -0.1, 0.2]))
    assert [gives(one) for one in found.relaxations] == [{"constraints[0].max": 40}, {"constraints[1].max": 40}]
    missing = why(Points([(np.nan, 10), (10, 40)]))
    assert [gives(one) for one in missing.relaxations] == [{"constraints[1].max": 40}]
    assert missing.stuck == ("cost <= 16",)


def test_three_constraints_give_in_pairs_and_the_third_must_hold(why):
    # The third design has the least misses of cost and time and an area that is allowed to none.
    asked = (CHEAP, FAST, bound("area", max=6.0))
    found = why(Points([(20, 40), (40, 20), (18, 18)], asked))
    assert gives(found.smallest) == {"constraints[0].max": 20, "constraints[1].max": 40}
    assert len(found.relaxations) == 1 and len(found.stuck) == 3


def test_a_design_that_meets_everything_after_all_is_the_answer(why):
    found = why(Points([(10, 40), (16, 16)]), extensions=["some"])
    assert found.met_by["macs"] == 1 and found.smallest is None
    assert found.relaxations == found.stuck == found.axis_extensions == found.unbuildable == ()


def test_what_no_design_keeps_is_named_by_the_one_that_comes_nearest(why):
    # The second misses heat alone, which is less than both; an edge that is just kept is no miss.
    limits = {"heat": [-0.2, -0.3], "edge": [-0.5, 0.0]}
    found = why(Points([(10, 10), (10, 10)], **limits), extensions=["some"])
    assert (found.relaxations, found.unbuildable) == ((), ("heat",)) and found.axis_extensions == ("some",)
    # What a design has no value of is no limit that it breaks.
    assert why(Points([(10, 10), (10, 10)], missing=[0, 1], **limits)).unbuildable == ("heat",)
    assert why(Points([(np.nan, 10)], heat=[0.0])).unbuildable == ()
    assert why(Points([(np.nan, 10)], heat=[0.1])).stuck == ("cost <= 16", "time <= 16")
    empty = why(Points([], heat=[]))
    assert empty.unbuildable == () and empty.met_by is None and empty.stuck == ("cost <= 16", "time <= 16")


@pytest.mark.parametrize(
    ("sides", "value", "key", "now", "then", "by"),
    [
        ({"max": 16.0}, 20.1231, "max", 16, 20.13, 4.1231 / 16),
        ({"min": 100.0}, 50.5578, "min", 100, 50.55, 0.494422),
        ({"near": 10.0, "within": 0.1}, 12.34561, "within", 0.1, 0.2346, 0.134561),
        ({"near": 10.0, "within": 0.1}, 7.5, "within", 0.1, 0.25, 0.15),
        ({"max": 2.0, "relative_to": "pair"}, 30.0, "max", 2, 3, 0.5),
        ({"min": 2.0, "relative_to": "pair"}, 5.0, "min", 2, 0.5, 0.75),
        ({"near": 2.0, "within": 0.1, "relative_to": "pair"}, 25.0, "within", 0.1, 0.25, 0.15),
        ({"min": 10.0, "max": 20.0}, 5.0, "min", 10, 5, 0.5),
        ({"min": 10.0, "max": 20.0}, 30.0, "max", 20, 30, 0.5),
    ],
)
def test_a_bound_gives_as_far_as_the_design_misses_it(sides, value, key, now, then, by):
    made = Points([(value, 1.0)], [bound("cost", **sides)])
    (asked,) = made.spec.constraints
    found = made.evaluate({"macs": np.zeros(1)})
    expected = RelaxedBound(asked.label, f"constraints[7].{key}", now, pytest.approx(then), pytest.approx(by))
    assert _given(asked, 7, made, found) == expected


def test_a_bound_that_is_just_met_does_not_give():
    made = Points([(16.0, 1.0)])
    assert _given(CHEAP, 0, made, made.evaluate({"macs": np.zeros(1)})) is None


@pytest.mark.parametrize(
    ("value", "up", "down"),
    [(0.0, 0, 0), (40.0, 40, 40), (123449.0, 123500, 123400), (0.0123449, 0.01235, 0.01234), (-1.23456, -1.234, -1.235),
     (9.9996, 10, 9.999), (1.0001, 1.001, 1), (1000.4, 1001, 1000), (7.0 * (1 + 1e-10), 7.001, 7),
     (1234 * (1 + 1e-13), 1235, 1234), (1234 * (1 - 1e-13), 1234, 1233), (-1234.0, -1234, -1234), (0.99996, 1, 0.9999),
     (-0.99996, -0.9999, -1), (-1.00004, -1, -1.001), (1.5e-7, 1.5e-7, 1.5e-7), (123.45e9, 123.5e9, 123.4e9)],
)  # fmt: skip
def test_four_digits_are_rounded_to_the_lenient_side(value, up, down):
    assert (rounded(value, up=True), rounded(value, up=False)) == (up, down)


def test_axes_help_that_lead_nearer_and_the_most_helpful_comes_first(monkeypatch):
    def at(missed, **settings):
        return Best(settings, Table({}), missed, 0.0)

    ends = {
        "none": at(1.0), "rounding": at(1 - 1e-7), "half": at(0.5, half="x"), "all": at(0.0, all=3.0),
        "little": at(0.999, other=1),
    }  # fmt: skip
    asked = []

    class Pool:
        evaluator = SimpleNamespace(spec="spec")
        start = at(1.0)

        def best(self, judge):
            return self.start

        def local_search(self, judge, starts, *, space):
            asked.append((starts, space))
            return ends[space]

    monkeypatch.setattr(constraints, "widened_axes", lambda spec: [(name, f"{name} words", name) for name in ends])
    monkeypatch.setattr(constraints, "Space", lambda wider: wider)
    found = constraints._axis_extensions(Pool())
    assert [(one.axis, one.values, one.feasible, one.violation, one.value) for one in found] == [
        ("all", "all words", True, 0.0, 3.0), ("half", "half words", False, 0.5, "x"),
        ("little", "little words", False, 0.999, None),
    ]  # fmt: skip
    assert {one.violation_before for one in found} == {1.0} and found[0].design == {"all": 3.0}
    assert asked == [([Pool.start], name) for name in ends]
    Pool.start = None
    assert constraints._axis_extensions(Pool()) == []
