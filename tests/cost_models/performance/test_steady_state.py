"""The chain of requests inside an engine and its steady state beside a plain twin, over engines of every kind at once.

What users see is judged by the simulation elsewhere; here each term is worked out once more, where it counts and at its
bounds: few places and many, prompts of several steps or none, answers of a token, bursts, and loads up to the capacity.
"""

from itertools import product

import numpy as np
import pytest

from cost_models.performance.queue_chain import Traffic
from cost_models.performance.serving_queue import Queue
from cost_models.performance.steady_state import SteadyState
from cost_models.performance.step_times import StepTimes
from tests.cost_models.performance.plain_queue import Engine, Plain, PlainSteady

ENGINES = (
    Engine(),
    Engine(most=1.0, room=1e6, prompt_s=0.3, alone_s=0.3),
    Engine(most=2.0, tokens=0.0),
    Engine(most=0.0, tokens=3.0),
    Engine(most=15.0, room=0.4, prompt_s=0.03, tokens=0.5),
    Engine(most=16.0, room=1.0, prompt_s=0.2, alone_s=0.25, tokens=20.0),
    Engine(most=17.0, room=1.5, beyond_s=0.1, tokens=5.0),
    Engine(most=40.0, room=2.0, slope_s=1e-3, tokens=1.0, prompt_s=0.002, alone_s=0.01),
    Engine(most=300.0, room=0.3, beyond_s=1e-3, tokens=400.0, prompt_s=0.01, alone_s=0.02),
    Engine(most=1000.0, prompt_s=0.0, alone_s=0.0, slope_s=0.0, beyond_s=0.0),
    Engine(most=200.0, room=8.0, slope_s=1e-2, beyond_s=0.0, tokens=30.0),
    Engine(most=5000.0, room=3.0, slope_s=0.0, beyond_s=1e-3, tokens=50.0, prompt_s=0.004, alone_s=0.005),
)
TRAFFICS = ((1.0, 0.0, 0.0), (0.0, 0.5, 2.0), (2.0, 1.5, 0.3), (1.4, 0.0, 1.0))
LOADS = (1e-5, 0.05, 0.5, 0.9, 1 - 1e-6)
CASES = [
    (Plain(one, decoding, *traffic), load)
    for (place, one), (turn, traffic), load in product(enumerate(ENGINES), enumerate(TRAFFICS), LOADS)
    for decoding in ((1.0, 4.0, 40.0, 900.0)[(place + turn) % 4],)
]


def column(values):
    return np.array([float(one) for one in values])


def steps_of(engines):
    """Return the step times of engines, a row each."""
    knots = np.array([0.0, 1.0, 2.0, 16.0, 128.0, 1024.0])
    names = ("prompt_s", "alone_s", "chunks", "room", "tokens", "most")
    columns = (column(getattr(one, name) for one in engines) for name in names)
    return StepTimes(
        np.broadcast_to(knots[:, None], (len(knots), len(engines))),
        np.stack([[one.step(knot) for one in engines] for knot in knots]),
        *columns,
        wait_s=column(one.wait_s for one in engines),
    )


@pytest.fixture(scope="module")
def both():
    """All cases in one table, and the plain twin of each."""
    plain = [one for one, _ in CASES]
    traffic = Traffic(
        **{name: column(getattr(one, name) for one in plain) for name in ("arrival_cv", "prompt_cv", "output_cv")}
    )
    queue = Queue(steps_of([one.engine for one in plain]), traffic, column(one.decoding for one in plain))
    rates = queue.capacity_per_s * column(load for _, load in CASES)
    twins = [PlainSteady(one, rate) for one, rate in zip(plain, rates, strict=True)]
    return SteadyState(queue, rates), twins


def same(found, told, rtol=1e-9, atol=1e-12):
    np.testing.assert_allclose(np.asarray(found), np.asarray(told).T, rtol=rtol, atol=atol)


def test_the_chain_is_that_of_each_engine_by_itself(both):
    queue, plain = both[0].queue, [one.queue for one in both[1]]
    for name, told in (
        ("states", "states"), ("widths", "widths"), ("at_work", "at_work"), ("beside_s", "beside"),
        ("cycle_s", "cycles"), ("rate_per_s", "rates"), ("log_rates", "log_rates"), ("capacity_per_s", "capacity"),
        ("work_cv2", "work_cv2"), ("share", "share"), ("places", "places"),
    ):  # fmt: skip
        same(getattr(queue, name), [getattr(one, told) for one in plain])
    assert queue.last[0].tolist() == [one.last for one in plain]


def test_the_steady_state_is_that_of_each_engine_by_itself(both):
    state, twins = both
    for name in ("busy", "full", "idle", "step", "biased"):
        same(getattr(state, name), [getattr(one, name) for one in twins], rtol=1e-7)


def test_waits_for_a_first_token_are_those_of_each_engine_by_itself(both):
    wait, told = both[0].ttft, [one.ttft for one in both[1]]
    same(wait.least_s, [least for least, _ in told])
    assert wait.even and np.isinf(wait.most_s)
    for place, found in enumerate((wait.shares, wait.extra_s, wait.extra_var)):
        wanted = np.array([[case[place] for case in cases] for _, cases in told])
        same(found, np.clip(wanted, 0, 1 if place == 0 else np.inf), rtol=1e-6)


def test_times_per_token_are_those_of_each_engine_by_itself(both):
    wait, told = both[0].tpot, [one.tpot for one in both[1]]
    same(wait.least_s, [one[0] for one in told])
    assert not wait.even
    for place, found in enumerate((wait.shares, wait.extra_s, wait.extra_var)):
        wanted = np.array([[case[place] for case in one[1]] for one in told])
        same(found, np.clip(wanted, 0, 1 if place == 0 else np.inf), rtol=1e-6)
    same(wait.most_s, [one[2] for one in told], rtol=1e-6)
    same(wait.floor_s, [[0, 0, one[3]] for one in told], rtol=1e-6)


def test_what_is_served_below_and_above_the_capacity(both):
    state, twins = both
    stable = np.arange(len(twins)) % 3 > 0
    seen = state.served(state.rate, stable)
    for row, one in enumerate(twins):
        queue = one.queue
        least, cases, *_ = one.tpot
        mean = least + sum(share * mean for share, mean, _ in cases)
        finished = one.rate if stable[row] else queue.capacity
        assert seen.requests_per_s[row] == pytest.approx(finished)
        assert seen.decoding[row] == pytest.approx(min(finished * queue.engine.tokens * mean, queue.places))
        assert seen.utilisation[row] == pytest.approx(one.rate / queue.capacity)
        assert seen.ttft.least_s[row] == (one.queue.engine.alone_s if stable[row] else np.inf)


def test_an_engine_that_is_as_good_as_idle_is_found_at_the_step_of_one():
    queue = Queue(steps_of([Engine(most=40.0)]), Traffic(), np.ones(1))
    for load, exact in ((1e-14, True), (1e-7, False)):
        state = SteadyState(queue, load * queue.capacity_per_s)
        assert (state.step[0] == queue.beside_s[1, 0]) == exact
        assert state.ttft.mean_s[0] == pytest.approx(0.06, rel=1e-5) and state.step[0] == pytest.approx(0.01, rel=1e-5)
