"""Sobol' indices of functions whose variance is known, in place of a sweep's metrics."""

from types import SimpleNamespace

import numpy as np
import pytest

from dse.analysis.explain import sensitivity
from dse.analysis.explain.sensitivity import FILE, _complete, space_sensitivity, write_sensitivity


def objective(metric, direction):
    return SimpleNamespace(metric=metric, direction=direction)


def constraint(metric, **bound):
    return SimpleNamespace(**{"metric": metric, "max": None, "min": None, "near": None, **bound})


@pytest.fixture
def put(monkeypatch):
    """Put functions of the unit cube in place of a space and its evaluator; return what is decoded."""

    def put(axes, functions):
        decoded = []

        def decode(unit):
            assert unit.shape[1] == len(axes) and unit.min() >= 0 and unit.max() <= 1
            decoded.append(unit)
            return unit

        space = SimpleNamespace(dimensions=axes, decode=decode)
        made = SimpleNamespace(
            evaluate=lambda unit, metrics: SimpleNamespace(
                metrics={name: function(*unit.T) for name, function in functions.items()}
            )
        )
        monkeypatch.setattr(sensitivity, "Space", lambda spec: space)
        monkeypatch.setattr(sensitivity, "Evaluator", lambda spec: made)
        return decoded

    return put


def told(frame):
    return {(row.metric, row.parameter): (row.first_order, row.total_order) for row in frame.itertuples()}


def test_a_sum_shares_its_variance_out_and_a_product_its_logarithm(put):
    decoded = put(("a", "b"), {
        "sum": lambda a, b: 3 * a + 4 * b - 10,
        "product": lambda a, b: np.exp(3 * a + 4 * b),
        "both": lambda a, b: (a - 0.5) * (b - 0.5),
        "flat": lambda a, b: np.full(len(a), 7.0),
    })  # fmt: skip
    spec = SimpleNamespace(
        objectives=[objective("sum", "minimize"), objective("product", "maximize"), objective("both", "minimize")],
        constraints=[constraint("flat", max=1.0), constraint("sum", min=1.0)],
    )
    frame = space_sensitivity(spec, samples=512, seed=3)
    found = told(frame)
    assert list(found) == [(metric, axis) for metric in ("sum", "product", "both", "flat") for axis in ("a", "b")]
    for metric in ("sum", "product"):
        # Of 3 a + 4 b the variances are as 9 to 16, without interactions.
        assert found[metric, "a"] == pytest.approx((0.36, 0.36), abs=0.02)
        assert found[metric, "b"] == pytest.approx((0.64, 0.64), abs=0.02)
    for axis in ("a", "b"):
        assert found["both", axis] == pytest.approx((0, 1), abs=0.1)
        assert found["flat", axis] == (0, 0)
    # Two sets of samples, and one more of the second with each axis of the first.
    assert sum(map(len, decoded)) == (2 + 2) * 512
    some = [told(space_sensitivity(spec, samples=16, **seed)) for seed in ({"seed": 0}, {}, {"seed": 1})]
    assert some[0] == some[1] != some[2]


def test_a_single_axis_has_all_of_the_variance(put):
    decoded = put(("a",), {"square": lambda a: a**2 - 5})
    frame = space_sensitivity(SimpleNamespace(objectives=[objective("square", "minimize")], constraints=[]))
    assert sum(map(len, decoded)) == (2 + 2) * 1024
    assert told(frame) == {("square", "a"): pytest.approx((1, 1), abs=0.01)}


def test_what_has_no_value_counts_as_the_worst_one(put):
    # b^2 - 2 lies between -2 and -1; a quarter of the designs has no value.
    names = ("least", "most", "below", "above", "near", "twice")
    put(("a", "b"), {name: lambda a, b: np.where(a > 0.75, np.nan, b**2 - 2) for name in names})
    spec = SimpleNamespace(
        objectives=[objective("least", "minimize"), objective("most", "maximize"), objective("twice", "maximize")],
        constraints=[
            constraint("below", max=1.0), constraint("above", min=1.0), constraint("near", near=1.0),
            constraint("twice", max=1.0),
        ],
    )  # fmt: skip
    found = told(space_sensitivity(spec, samples=1024))
    inside = 0.75 * (1 / 5 - 1 / 9)
    for end, metrics in ((-1, ("least", "below", "near")), (-2, ("most", "above", "twice"))):
        # The mean of b^2 - 2 is -5/3; what a alone decides is whether it or the end counts.
        alone = 0.75 * 0.25 * (end + 5 / 3) ** 2
        for metric in metrics:
            assert found[metric, "a"][0] == pytest.approx(alone / (alone + inside), abs=0.03), metric
            assert found[metric, "b"] == pytest.approx(
                (0.75 * inside / (alone + inside), inside / (alone + inside)), abs=0.03
            )


@pytest.mark.parametrize(
    ("values", "wanted_small", "complete"),
    [
        ([np.e, 1, np.e**2], True, [1, 0, 2]),
        ([1, np.nan, np.e], True, [0, 1, 1]),
        ([1, np.inf, np.e], False, [0, 0, 1]),
        ([0, 2, np.nan], True, [0, 2, 2]),
        ([-1, 2, np.nan], False, [-1, 2, -1]),
        ([np.nan, np.inf, -np.inf], True, [0, 0, 0]),
    ],
)
def test_a_metric_is_completed_by_its_worst_and_taken_in_its_logarithm_where_positive(values, wanted_small, complete):
    assert _complete(np.array(values, dtype=float), wanted_small).tolist() == pytest.approx(complete)


def test_the_table_is_written_as_it_is_returned(put, tmp_path, monkeypatch):
    put(("a", "b"), {"sum": lambda a, b: a + b})
    monkeypatch.setattr(sensitivity.space_sensitivity, "__kwdefaults__", {"samples": 64, "seed": 0})
    frame = write_sensitivity(SimpleNamespace(objectives=[objective("sum", "minimize")], constraints=[]), tmp_path)
    lines = (tmp_path / FILE).read_bytes().decode().split("\n")
    assert lines[0] == "metric,parameter,first_order,total_order" and len(lines) == 4 and lines[3] == ""
    assert lines[1] == f"sum,a,{frame.first_order[0]:.6g},{frame.total_order[0]:.6g}"
