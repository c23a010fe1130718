"""Swings and shares of the variance of made functions whose answers are known."""

import math

import numpy as np
import pytest

from dse.uncertainty import sensitivity
from dse.uncertainty.sensitivity import Input, Swing, inputs_of, swings_of, variance_fractions
from tests.dse.uncertainty.spreads import spread


@pytest.fixture
def of_function(monkeypatch):
    """Put made metrics, functions of columns of parameters by name, in place of the models."""

    def put(functions):
        def metrics(spec, design, columns, names):
            rows = len(next(iter(columns.values())))
            return np.array([np.broadcast_to(functions[name](columns), rows).astype(float) for name in names])

        monkeypatch.setattr(sensitivity, "_metrics", metrics)

    return put


FUNCTIONS = {
    "sum": lambda c: 3 * c["a"] + 4 * c["b"],
    "product": lambda c: (c["a"] - 0.5) * (c["b"] - 0.5),
    "tie": lambda c: c["t1"] + 2 * c["t2"],
    "gap": lambda c: np.where(c["a"] > 0.9, np.nan, c["a"]),
    "hole": lambda c: np.where((c["a"] > 0.4) & (c["a"] < 0.45), np.nan, c["a"]),
    "none": lambda c: np.full(len(c["a"]), np.nan),
    "flat": lambda c: np.full(len(c["a"]), 7.0),
}


SPREADS = [
    spread("a"), spread("b", 0.0, 0.5, 2.0), spread("d"),
    spread("t1", factor="f", sure="medium"), spread("t2", 1.0, 2.0, 4.0, factor="f", sure="low"),
]  # fmt: skip


def test_swings_are_the_ends_of_each_input_alone(of_function):
    of_function(FUNCTIONS)
    names = list(FUNCTIONS)
    found = [
        (swing.metric, swing.input.name, swing.at_low, swing.at_typ, swing.at_high, swing.width)
        for swing in swings_of(None, {}, SPREADS, names)
    ]
    expected = [
        ("sum", "b", 1.5, 3.5, 9.5, 8.0), ("sum", "a", 2.0, 3.5, 5.0, 3.0),
        # Both parameters of one cause at once; a product of what is 0 alone moves by neither.
        ("tie", "f (2 parameters)", 2.0, 4.5, 9.0, 7.0), ("gap", "a", 0.0, 0.5, math.nan, math.inf),
        ("hole", "a", 0.0, 0.5, 1.0, 1.0),
    ]  # fmt: skip
    assert [one[:2] for one in found] == [one[:2] for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one[2:] == pytest.approx(other[2:], nan_ok=True)


def test_an_input_that_moves_a_rounding_moves_nothing(of_function):
    moved = {"tiny": lambda c: 1e6 + 1e-7 * c["a"], "small": lambda c: 1e6 + 1e-5 * c["a"]}
    of_function(moved)
    assert [swing.metric for swing in swings_of(None, {}, [spread("a")], list(moved))] == ["small"]


def test_swings_of_one_width_stand_by_name(of_function):
    of_function({"sum": lambda c: c["z"] + c["b"] - c["k"], "first": lambda c: c["k"]})
    found = swings_of(None, {}, [spread("z"), spread("b"), spread("k")], ["first", "sum"])
    assert [(one.metric, one.input.name) for one in found] == [("first", "k"), ("sum", "b"), ("sum", "k"), ("sum", "z")]


@pytest.mark.parametrize(
    ("ends", "width"),
    [((1, 2, 5), 4), ((5, 2, 1), 4), ((2, 1, 2), 1), ((np.nan,) * 3, 0), ((np.nan, 1, 2), np.inf),
     ((1, np.nan, 2), np.inf)],
)  # fmt: skip
def test_a_swing_is_as_wide_as_its_farthest_ends(ends, width):
    assert Swing(Input((spread("a"),)), "m", *ends).width == width


def test_an_input_is_as_sure_as_its_least_sure_parameter():
    one, two = (
        inputs_of([spread("t1", factor="f", sure="medium"), spread("t2", factor="f")])[0],
        spread("x", sure="low"),
    )
    assert (one.name, one.paths, one.confidence) == ("f (2 parameters)", ("t1", "t2"), "medium")
    (alone,), (lone,) = inputs_of([two]), inputs_of([spread("x", factor="f")])
    assert (alone.name, alone.paths, alone.confidence) == ("x", ("x",), "low") and lone.name == "x"


def test_shares_of_the_variance_of_a_sum_and_of_a_product(of_function):
    of_function(FUNCTIONS)
    swings = [Swing(one, metric, 0, 0, 1) for metric in FUNCTIONS for one in inputs_of(SPREADS)]
    shares = {
        (swing.metric, swing.input.name): (swing.variance_fraction, swing.total_fraction)
        for swing in variance_fractions(None, {}, swings, samples=4096, seed=1)
    }
    # Two right triangles of weight 1/2 that meet at the median, below and above it: the variance by its integral.
    probability = (np.arange(200_000) + 0.5) / 200_000
    a, b = (9 * spread("a").quantile(probability).var(), 16 * spread("b", 0, 0.5, 2).quantile(probability).var())
    for name, share in (("a", a / (a + b)), ("b", b / (a + b)), ("d", 0)):
        assert shares["sum", name] == pytest.approx((share, share), abs=0.02)
    # (a - 1/2) has the mean 0, (b - 1/2) has not: a alone counts by that mean, b by the interaction only.
    mean, var = spread("b", 0, 0.5, 2).quantile(probability).mean() - 0.5, b / 16
    alone = mean**2 / (mean**2 + var)
    assert shares["product", "a"] == pytest.approx((alone, 1), abs=0.06)
    assert shares["product", "b"] == pytest.approx((0, 1 - alone), abs=0.06)
    assert shares["tie", "f (2 parameters)"] == pytest.approx((1, 1), abs=0.02)
    for metric in ("gap", "hole", "none"):
        assert np.isnan(shares[metric, "a"]).all() and np.isnan(shares[metric, "b"]).all()


def test_no_swing_shares_nothing_and_the_seed_decides(of_function):
    of_function(FUNCTIONS)
    assert variance_fractions(None, {}, []) == []
    swings = swings_of(None, {}, SPREADS, ["sum"])
    one, two, three = (
        [swing.total_fraction for swing in variance_fractions(None, {}, swings, samples=64, seed=seed)]
        for seed in (0, 0, 1)
    )
    assert one == two != three
    default = [swing.total_fraction for swing in variance_fractions(None, {}, swings)]
    assert default == [one.total_fraction for one in variance_fractions(None, {}, swings, samples=256, seed=0)]
