"""Constants of made functions whose least squares have closed forms."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dse.validation import stack_fit
from dse.validation.stack_fit import Pull, fit_constants


@pytest.fixture
def linear(monkeypatch):
    """Log ratios that are linear in the logarithms of two constants: `offset + slopes @ log(constants)`."""

    def put(slopes, offset, *, most=(np.inf, np.inf)):
        monkeypatch.setattr(stack_fit, "Technology", lambda told, library: told)

        def log_ratios(rows, stack, told):
            logs = np.log([told[f"stacks.{stack}.{name}"] for name in ("a", "b")])
            return offset + slopes @ logs

        monkeypatch.setattr(stack_fit, "log_ratios", log_ratios)
        bounds = [SimpleNamespace(bounds=SimpleNamespace(high=high)) for high in most]
        return SimpleNamespace(parameters=dict(zip(("stacks.s.a", "stacks.s.b"), bounds, strict=True)))

    return put


RNG = np.random.default_rng(3)


SLOPES, OFFSET = RNG.normal(size=(12, 2)), 0.1 * RNG.normal(size=12)


ROWS = pd.DataFrame({"source": ["x", "y", "z"] * 4})


def test_constants_are_those_of_least_squares_pulled_to_their_start(linear):
    library = linear(SLOPES, OFFSET)
    start, spread, weight = {"a": 2.0, "b": 0.5}, np.array([0.3, 0.6]), np.linspace(1, 3, 12)
    # A knee far beyond every row: plain least squares of rows by weight, and of logarithms by spread.
    found = fit_constants(ROWS, "s", start, Pull(weight, spread, 1e3), library)
    matrix = np.concatenate([weight[:, None] * SLOPES, np.diag(1 / spread)])
    first = np.log(list(start.values()))
    wanted = np.concatenate([-weight * (OFFSET + SLOPES @ first), np.zeros(2)])
    moves = np.linalg.lstsq(matrix, wanted, rcond=None)[0]
    assert np.log(list(found.values.values())) - first == pytest.approx(moves, abs=2e-3)
    assert list(found.errors.values()) == pytest.approx(np.sqrt(np.diag(np.linalg.inv(matrix.T @ matrix))), rel=1e-6)
    errors = np.abs(np.exp(OFFSET + SLOPES @ (first + moves)) - 1)
    assert found.miss == pytest.approx(np.median(errors), abs=2e-3)
    assert (found.rows, found.sources) == (12, ("x", "y", "z"))
    again = fit_constants(ROWS, "s", start, Pull(weight, spread, 1e3), library, guess={"a": 3.0, "b": 0.9})
    assert list(again.values.values()) == pytest.approx(list(found.values.values()), rel=2e-3)


def test_rows_beyond_the_knee_pull_in_proportion(linear):
    # One constant alone, two rows 0.2 too low and one 3 too high: squares give the mean, distances the median.
    slopes = np.array([[1.0, 0.0]] * 3)
    library = linear(slopes, np.array([-0.2, -0.2, 3.0]))
    start, free = {"a": 1.0, "b": 1.0}, np.array([1e3, 1.0])
    square, near = (
        np.log(fit_constants(ROWS[:3], "s", start, Pull(np.ones(3), free, knee), library).values["a"])
        for knee in (1e3, 0.01)
    )
    assert square == pytest.approx(-2.6 / 3, abs=2e-3) and near == pytest.approx(0.2, abs=0.02)

    # Where the pulls of rows on either side are equal: knee * sqrt(2 (sqrt(1 + (r / knee)^2) - 1)) by its derivative.
    def pull(x, knee):
        r = x + np.array([-0.2, -0.2, 3.0])
        return (r / np.sqrt(1 + (r / knee) ** 2)).sum()

    low, high = -1.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if pull(middle, 0.5) < 0 else (low, middle)
    half = np.log(fit_constants(ROWS[:3], "s", start, Pull(np.ones(3), free, 0.5), library).values["a"])
    assert half == pytest.approx(low, abs=0.01)


def test_a_constant_stays_below_its_bound(linear):
    slopes = np.array([[1.0, 0.0]] * 3)
    library = linear(slopes, np.full(3, -1.0), most=(1.5, np.inf))
    pull = Pull(np.ones(3), np.array([1e3, 1.0]), 1e3)
    found = fit_constants(ROWS[:3], "s", {"a": 1.0, "b": 1.0}, pull, library)
    assert found.values["a"] == pytest.approx(1.5, rel=1e-3)
    free = fit_constants(ROWS[:3], "s", {"a": 1.0, "b": 1.0}, pull, linear(slopes, np.full(3, -1.0)))
    assert free.values["a"] == pytest.approx(np.e, rel=1e-2)


def test_constants_that_hold_meanwhile_are_told(linear, monkeypatch):
    library, told = linear(SLOPES, OFFSET), []
    plain = stack_fit.log_ratios
    monkeypatch.setattr(stack_fit, "log_ratios", lambda rows, stack, one: told.append(one) or plain(rows, stack, one))
    fit_constants(ROWS, "s", {"a": 1.0, "b": 1.0}, Pull(np.ones(12), 1.0, 1e3), library, fixed={"c": 7.0})
    assert all(one["stacks.s.c"] == 7.0 and set(one) == {"stacks.s.a", "stacks.s.b", "stacks.s.c"} for one in told)
