"""Interpolation on a grid: polynomials come back exactly, nodes as they are, smooth functions nearly."""

import numpy as np
import pytest

from cost_models.weights.interpolation import Axis, Scale, interpolated

PLAIN = Scale(lambda x: x, lambda x: x)


def both(function, counts, columns, scale=PLAIN):
    """Return interpolated and true values."""
    distinct = [np.unique(column, return_inverse=True) for column in columns]
    axes = [Axis.between(values, count, scale) for (values, _), count in zip(distinct, counts, strict=True)]
    known = function(*np.meshgrid(*(axis.nodes for axis in axes), indexing="ij"))
    return interpolated(known, axes, distinct), function(*columns)


def test_polynomials_of_less_than_so_many_nodes_come_back():
    x, y, z = np.random.default_rng(3).uniform(-2, 5, (3, 6000))
    got, true = both(lambda x, y, z: 1 + x**3 * y - y**2 * z + x * z**4, (4, 3, 5), (x, y, z))
    np.testing.assert_allclose(got, true, rtol=1e-11, atol=1e-11)
    low, _ = both(lambda x, y, z: 1 + x**3 * y - y**2 * z + x * z**4, (4, 3, 4), (x, y, z))
    assert np.abs(low - true).max() > 1e-2


def test_few_values_are_nodes_and_any_function_is_met_there():
    rng = np.random.default_rng(4)
    x, y = rng.choice([1.0, 2.0, 7.0], 500), np.full(500, 3.0)
    table = {1.0: 0.25, 2.0: -8.0, 7.0: 1e6}
    got, true = both(np.vectorize(lambda x, y: table[x] * y), (3, 5), (x, y))
    np.testing.assert_array_equal(got, true)


def test_a_scale_makes_smooth_what_is_smooth_on_it():
    x = np.geomspace(1, 1e6, 900)
    logs = Scale(np.log, np.exp)
    got, true = both(lambda x: np.log(x) ** 3, (4,), (x,), logs)
    np.testing.assert_allclose(got, true, rtol=1e-10, atol=1e-10)
    assert np.abs(both(lambda x: np.log(x) ** 3, (4,), (x,))[0] - true).max() > 1


@pytest.mark.parametrize("count", [5, 20])
def test_weights_add_up_to_one_and_meet_their_nodes(count):
    values = np.linspace(2, 9, 300)
    axis = Axis.between(values, count, PLAIN)
    assert len(axis.nodes) == count and axis.nodes[[0, -1]] == pytest.approx([2, 9])
    weights = axis.weights(np.r_[values, axis.nodes])
    np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=1e-13)
    np.testing.assert_array_equal(weights[:, 300:], np.eye(count))


def test_nodes_stay_within_the_values_and_whole_where_the_scale_says_so():
    whole = Scale(lambda n: n**-0.5, lambda x: np.round(x**-2.0))
    axis = Axis.between(np.arange(3.0, 400.0), 12, whole)
    assert (axis.nodes == np.round(axis.nodes)).all() and axis.nodes[0] == 3 and axis.nodes[-1] == 399
